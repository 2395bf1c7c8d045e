/// A judgement as text and as JSON.
struct CheckReport {
    let judgement: Judgement
    /// Columns.
    var width = 80

    var text: String {
        let image = judgement.program.image
        var lines = [
            "Program   \(image.path.string.printable)"
        ]
        for script in judgement.program.scripts { lines.append("  by way of \(script.string.printable)") }
        let loader = image.interpreter.map { ", loaded by \($0.printable)" } ?? ""
        lines.append("Kind      \(judgement.kind.rawValue), \(image.machineName)\(loader)")
        let verdict =
            switch judgement.verdict {
            case .served: "served"
            case .perhapsLittle: "can be served, but perhaps little of it (shimctl advise tells how much)"
            case .notServed: "not served"
            }
        lines.append("Verdict   \(verdict)")
        lines += judgement.obstacles.map { "  because \($0)" }
        if !judgement.remarks.isEmpty {
            lines += ["", "Remarks"] + judgement.remarks.flatMap { Wrapped.lines($0, 2, width) }
        }
        if let closure = judgement.closure { lines += ["", libraryTable(closure).text(width: width)] }
        for treatment in EntryPoints.Treatment.allCases {
            let imports = judgement.imports.filter { $0.treatment == treatment }
            guard !imports.isEmpty else { continue }
            lines += ["", Self.heading(treatment), importTable(imports).text(width: width)]
        }
        return lines.joined(separator: "\n")
    }

    private func libraryTable(_ closure: LibraryClosure) -> Table {
        var table = Table(
            .text("Object", shrinks: true), .text("File", shrinks: true), .number("Served"), .number("Passed on"),
            .number("Unknown", spare: 1), .number("Raw syscalls", spare: 2))
        for object in closure.objects {
            let name = object.name.printable
            let count = { (treatment: EntryPoints.Treatment) -> String in
                if object.isLibc { return "-" }
                return String(
                    judgement.imports.filter { $0.treatment == treatment && $0.importedBy.contains(name) }.count)
            }
            let raw = judgement.rawSystemCalls.first { $0.object == name }?.calls.count ?? 0
            table.add(
                object.loader == nil ? "(program)" : name, object.image.path.string.printable, count(.served),
                count(.passedOn), count(.unknown), object.isLibc ? "-" : String(raw))
        }
        for library in closure.missing { table.add(library.name.printable, "not found", "", "", "", "") }
        return table
    }

    private static func heading(_ treatment: EntryPoints.Treatment) -> String {
        switch treatment {
        case .served: "Served: the shim does these itself where it can"
        case .passedOn: "Passed on: the shim sees these and lets libc do them"
        case .kernel: "Not interposed, and need not be: the kernel owns what they change"
        case .stdio: "Streams: libc reads and writes inside itself, which is right but not faster"
        case .unknown: "Unknown: file I/O that this version of the shim does not know"
        }
    }

    private func importTable(_ imports: [Judgement.Import]) -> Table {
        // By importers, so that a library's names stand together.
        var groups: [(objects: [String], names: [String])] = []
        for item in imports {
            if let index = groups.firstIndex(where: { $0.objects == item.importedBy }) {
                groups[index].names.append(item.name)
            } else {
                groups.append((item.importedBy, [item.name]))
            }
        }
        var table = Table(.text("  Names"), .text("Imported by", shrinks: true))
        for group in groups {
            for (row, names) in Self.wrapped(group.names, width: max(width - 32, 24)).enumerated() {
                table.add("  " + names, row == 0 ? objectNames(group.objects) : "")
            }
        }
        return table
    }

    private func objectNames(_ objects: [String]) -> String {
        let program = judgement.program.image.path.string.printable
        return objects.map { $0 == program ? "program" : $0 }.joined(separator: ", ")
    }

    private static func wrapped(_ names: [String], width: Int) -> [String] {
        var lines: [String] = []
        for name in names {
            if let last = lines.last, last.count + 1 + name.count <= width {
                lines[lines.count - 1] = last + " " + name
            } else {
                lines.append(name)
            }
        }
        return lines
    }
}
