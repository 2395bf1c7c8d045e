import CElf
import SystemPackage

/// Whether the shim can serve a program, and what of it.
struct Judgement {
    enum Kind: String {
        case dynamic
        case `static`
        case staticPIE = "static-pie"
        case sharedLibrary = "shared-library"
    }

    /// A name of libc and the objects that import it.
    struct Import {
        let name: String
        let treatment: EntryPoints.Treatment
        let importedBy: [String]
    }

    let asked: String
    let program: ProgramFile
    let kind: Kind
    let closure: LibraryClosure?
    /// Names that have to do with file I/O, in alphabetical order.
    private(set) var imports: [Import] = []
    /// Objects other than libc with `syscall` instructions.
    private(set) var rawSystemCalls: [(object: String, calls: RawSystemCalls)] = []
    /// The sanitizer that the program is built with.
    private(set) var sanitizer: SanitizerRuntime?
    /// Ways to call libc's functions by their names.
    private(set) var foreignFunctions: [ForeignFunctions.Way] = []
    /// Reasons why the program is not served; none if it is.
    private(set) var obstacles: [String] = []
    /// What limits the service, or this judgement.
    private(set) var remarks: [String] = []

    var isServed: Bool { obstacles.isEmpty }

    /// How much can be hoped for, by who imports what. It is a guess: read and write are for sockets, too.
    enum Verdict: String {
        case served
        /// It can be served, but its own file I/O is perhaps in streams, or only its libraries have any.
        case perhapsLittle = "perhaps_little"
        case notServed = "not_served"
    }

    private(set) var verdict = Verdict.served

    init(of name: String) throws {
        asked = name
        program = try ProgramFile(named: FilePath(name))
        let image = program.image
        let dynamic = image.readDynamic()
        kind = Self.kind(of: image, dynamic)
        if let dynamic, kind == .dynamic || kind == .sharedLibrary, image.isX8664 {
            closure = LibraryClosure(program: image, dynamic: dynamic)
        } else {
            closure = nil
        }
        judgeFile()
        judgePrivileges()
        if let closure { judge(closure) }
        if !isServed { verdict = .notServed } else { judgeHopes() }
    }

    /// Databases read at positions. Who does not, and reads streams, uses read and write for something else.
    private mutating func judgeHopes() {
        let positional: Set<String> = ["pread", "preadv", "preadv2"]
        let served = imports.filter { EntryPoints.entries[$0.name]?.treatment == "SERVE" }
        guard !served.contains(where: { positional.contains(EntryPoints.base(of: $0.name)) }) else { return }
        let own = program.image.path.string.printable
        let isStreams = imports.contains {
            $0.treatment == .stdio && $0.importedBy.contains(own) && Self.readsFiles($0.name)
        }
        guard !served.contains(where: { $0.importedBy.contains(own) }) || isStreams else { return }
        verdict = .perhapsLittle
        if isStreams {
            remarks.insert(
                "its own file I/O is likely by streams (fread, fgets), inside libc, where no preload sees it:"
                    + " its read and write may be for sockets", at: 0)
        } else if !served.isEmpty {
            let users = Set(served.flatMap(\.importedBy)).sorted().joined(separator: ", ")
            remarks.insert("only its libraries read and write (\(users)): that may be little", at: 0)
        }
    }

    private static func readsFiles(_ name: String) -> Bool {
        ["fread", "fgets", "getline", "getdelim", "fgetc", "fscanf"].contains(EntryPoints.base(of: name))
    }

    private static func kind(of image: ElfImage, _ dynamic: ElfImage.Dynamic?) -> Kind {
        if image.segment(PT_INTERP) != nil { return .dynamic }
        guard image.isSharedObject, let dynamic else { return .static }
        // Older linkers do not say DF_1_PIE; but a program has an entry, and no name to be found by.
        let looksLikeProgram = dynamic.soname == nil && dynamic.needed.isEmpty && image.header.e_entry != 0
        return dynamic.isPIE || looksLikeProgram ? .staticPIE : .sharedLibrary
    }

    private mutating func judgeFile() {
        let image = program.image
        if !image.isX8664 {
            obstacles.append("it is a program for \(image.machineName); the shim is for x86-64")
            return
        }
        switch kind {
        case .static: obstacles.append("it is linked statically: no loader reads LD_PRELOAD")
        case .staticPIE:
            obstacles.append("it is a static PIE, which relocates itself: no loader reads LD_PRELOAD")
        case .dynamic, .sharedLibrary: break
        }
        if kind == .sharedLibrary {
            remarks.append("it is a library, not a program: judged as if a program had loaded it")
        }
        if let interpreter = image.interpreter, FilePath(interpreter).lastComponent?.string != "ld-linux-x86-64.so.2" {
            remarks.append("its loader \(interpreter.printable) is not glibc's")
        }
    }

    private mutating func judgePrivileges() {
        for (path, privileges) in program.privileges {
            if !privileges.gained.isEmpty {
                let gained = privileges.gained.joined(separator: ", ")
                obstacles.append("\(path.string.printable) is \(gained): ld.so then ignores LD_PRELOAD")
                if privileges.isAlreadyHeld {
                    remarks.append("started by you it gains nothing (\(gained)), so ld.so would load the shim")
                }
            }
            if !privileges.withoutEffect.isEmpty {
                remarks.append(
                    "\(privileges.withoutEffect.joined(separator: ", ")) has no effect:"
                        + " its file system is mounted nosuid"
                )
            }
        }
    }

    private mutating func judge(_ closure: LibraryClosure) {
        for library in closure.missing {
            obstacles.append(
                "\(library.name.printable), which \(library.neededBy.printable) needs, is not found: it cannot start")
        }
        if kind == .dynamic, !closure.objects.contains(where: { $0.image.path.lastComponent?.string == "libc.so.6" }) {
            if closure.missing.isEmpty { obstacles.append("it does not use glibc (libc.so.6)") }
        }
        var importers: [String: [String]] = [:]
        sanitizer = SanitizerRuntime.shared(in: closure)
        for object in closure.objects where !object.isLibc {
            let symbols = object.image.readSymbols(object.dynamic)
            for name in symbols.imports { importers[name, default: []].append(object.name.printable) }
            var calls = RawSystemCalls()
            for code in object.image.instructions { calls.scan(code) }
            if calls.count > 0 { rawSystemCalls.append((object.name.printable, calls)) }
            if object.loader == nil {
                noteOwnDefinitions(symbols.exports)
            }
        }
        imports = importers.compactMap { name, objects in
            EntryPoints.treatment(of: name).map { Import(name: name, treatment: $0, importedBy: objects) }
        }.sorted { $0.name < $1.name }

        // A sanitizer that is part of the program takes read and the like from libc by their names.
        let isHandedOn = sanitizer.map { $0.library == nil } ?? false
        if !imports.contains(where: { EntryPoints.entries[$0.name]?.treatment == "SERVE" }), obstacles.isEmpty,
            !isHandedOn
        {
            obstacles.append(
                "neither it nor its libraries call read, write or their kin: streams (FILE *) do that in libc")
        }
        if let sanitizer { remarks.append(sanitizer.remark) }
        let foreign = ForeignFunctions(of: program.image, in: closure)
        foreignFunctions = foreign.ways
        if let remark = foreign.remark { remarks.append(remark) }
        if importers["dlopen"] != nil || importers["dlmopen"] != nil {
            remarks.append(
                "it can load further libraries with dlopen, which are not seen here"
                    + (foreignFunctions.isEmpty ? ", libffi and JNA among them" : ""))
        }
        if let users = importers["syscall"] {
            remarks.append(
                "\(users.joined(separator: ", ")): syscall(2) is used; the shim handles the file calls of it")
        }
        for (object, calls) in rawSystemCalls { remarks.append(Self.remark(on: calls, in: object)) }
    }

    /// The program's own definitions come before those of a preload.
    private mutating func noteOwnDefinitions(_ exports: Set<String>) {
        let own = exports.filter { EntryPoints.entries[$0] != nil }.sorted()
        guard kind == .dynamic, !own.isEmpty else { return }
        // A sanitizer's definitions are no end, but a step on the way.
        if sanitizer == nil { sanitizer = SanitizerRuntime.linkedIn(program.image, exporting: exports) }
        if sanitizer == nil {
            remarks.append("it defines \(own.joined(separator: ", ")) itself: calls of these never reach the shim")
        }
    }

    private static func remark(on calls: RawSystemCalls, in object: String) -> String {
        let names = calls.numbers.keys.compactMap(SystemCallNames.fileCall).sorted()
        var text = "\(object): \(calls.count) syscall instructions of its own (a hint from its code)"
        if !names.isEmpty { text += ", for \(names.joined(separator: ", "))" }
        if calls.unknown > 0 { text += names.isEmpty ? ", numbers not known" : " and numbers not known" }
        if names.isEmpty, calls.unknown == 0 { text += ", none for files" }
        if names.contains(where: SystemCallNames.changeDescriptors.contains) {
            text += "; the shim does not see descriptors that change this way"
        }
        return text
    }
}
