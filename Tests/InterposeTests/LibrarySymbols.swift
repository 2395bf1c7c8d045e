import Foundation
import TestSupport

/// What binutils tell of a shared library.
struct LibrarySymbols {
    /// Names others can link against: the exported ones, without versions nobody may use (GLIBC_PRIVATE).
    let exports: Set<String>
    /// Names it takes from elsewhere.
    let imports: Set<String>

    init(of path: String) throws {
        exports = Set(
            try Self.output("/usr/bin/nm", ["-D", "--defined-only", path]).split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ")
                // Capital letters are global symbols; "A" is the name of a version.
                guard words.count == 3, let kind = words[1].first, "TWVBDRi".contains(kind) else { return nil }
                guard !words[2].hasSuffix("@GLIBC_PRIVATE") else { return nil }
                return Self.bare(words[2])
            })
        imports = Set(
            try Self.output("/usr/bin/nm", ["-D", "--undefined-only", path]).split(separator: "\n").compactMap {
                $0.split(separator: " ").last.map(Self.bare)
            })
    }

    static func libc() throws -> LibrarySymbols {
        let places = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"]
        guard let path = places.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            throw SetupError("no libc.so.6 where it is expected: \(places)")
        }
        return try LibrarySymbols(of: path)
    }

    /// The standard output of a tool that must succeed.
    static func output(_ program: String, _ arguments: [String]) throws -> String {
        let result = try spawn(program, arguments)
        guard result.ending == .exited(0) else { throw SetupError("\(program): \(result.stderr)") }
        return result.stdout
    }

    private static func bare(_ name: Substring) -> String { String(name.prefix { $0 != "@" }) }
}

/// Which function mentions which symbol, from a disassembly.
struct References {
    /// mentions[function]: all symbols that instructions of `function` call, jump to or take the address of.
    let mentions: [String: Set<String>]

    init(of path: String) throws {
        var mentions: [String: Set<String>] = [:]
        var function = ""
        for line in try LibrarySymbols.output("/usr/bin/objdump", ["-d", "--no-show-raw-insn", path])
            .split(separator: "\n")
        {
            guard let open = line.lastIndex(of: "<"), let close = line[open...].firstIndex(of: ">") else { continue }
            // <name>, <name@plt> or <name+0x12>
            let name = String(line[line.index(after: open)..<close].prefix { $0 != "@" && $0 != "+" })
            if line.hasSuffix(">:") {
                function = name
            } else if name != function {
                mentions[function, default: []].insert(name)
            }
        }
        self.mentions = mentions
    }
}
