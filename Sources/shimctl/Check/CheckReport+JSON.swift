/// The document that `check --json` writes; documented in docs/shimctl.md, field by field.
extension CheckReport {
    struct Document: Encodable {
        struct Library: Encodable {
            let name: String
            /// Null: not found.
            let path: String?
        }

        struct Import: Encodable {
            let name: String
            let importedBy: [String]
        }

        struct RawSystemCalls: Encodable {
            let object: String
            let count: Int
            let fileCalls: [String]
            let numbersUnknown: Int
        }

        struct Sanitizer: Encodable {
            let name: String
            /// Null: linked into the program.
            @Explicit var runtime: String?
        }

        struct ForeignFunctions: Encodable {
            let interface: String
            let path: String
        }

        let schema = "pmemshim.check/1"
        let asked: String
        let program: String
        let scripts: [String]
        let kind: String
        let machine: String
        let interpreter: String
        let privileges: [String]
        let served: Bool
        /// `served`, `perhaps_little` or `not_served`.
        let verdict: String
        let obstacles: [String]
        let remarks: [String]
        let libraries: [Library]
        let missingLibraries: [String]
        /// By treatment: served, passed_on, kernel, stdio, unknown; all five always.
        let imports: [String: [Import]]
        let usesSyscallFunction: Bool
        let usesDlopen: Bool
        let rawSyscalls: [RawSystemCalls]
        /// None or one.
        let sanitizers: [Sanitizer]
        let foreignFunctions: [ForeignFunctions]
    }

    var document: Document {
        let image = judgement.program.image
        let importers = Dictionary(grouping: judgement.imports) { $0.treatment }
        let libraries = judgement.closure?.objects.dropFirst() ?? []
        return Document(
            asked: judgement.asked.printable,
            program: image.path.string.printable,
            scripts: judgement.program.scripts.map(\.string.printable),
            kind: judgement.kind.rawValue,
            machine: image.machineName,
            interpreter: image.interpreter?.printable ?? "",
            privileges: judgement.program.privileges.flatMap(\.privileges.gained),
            served: judgement.isServed, verdict: judgement.verdict.rawValue,
            obstacles: judgement.obstacles,
            remarks: judgement.remarks,
            libraries: libraries.map {
                Document.Library(name: $0.name.printable, path: $0.image.path.string.printable)
            },
            missingLibraries: judgement.closure?.missing.map(\.name.printable) ?? [],
            imports: Dictionary(
                uniqueKeysWithValues: EntryPoints.Treatment.allCases.map { treatment in
                    (
                        treatment.jsonName,
                        (importers[treatment] ?? []).map {
                            Document.Import(name: $0.name, importedBy: $0.importedBy)
                        }
                    )
                }),
            usesSyscallFunction: judgement.imports.contains { $0.name == "syscall" },
            usesDlopen: judgement.imports.contains { $0.name == "dlopen" || $0.name == "dlmopen" },
            rawSyscalls: judgement.rawSystemCalls.map { item in
                Document.RawSystemCalls(
                    object: item.object, count: item.calls.count,
                    fileCalls: item.calls.numbers.keys.compactMap(SystemCallNames.fileCall).sorted(),
                    numbersUnknown: item.calls.unknown)
            },
            sanitizers: judgement.sanitizer.map {
                [Document.Sanitizer(name: $0.name, runtime: Explicit(wrappedValue: $0.library?.string.printable))]
            } ?? [],
            foreignFunctions: judgement.foreignFunctions.map {
                Document.ForeignFunctions(interface: $0.interface, path: $0.path.string.printable)
            })
    }
}

extension EntryPoints.Treatment {
    var jsonName: String { self == .passedOn ? "passed_on" : rawValue }
}
