import Foundation
import TestSupport
import Testing

/// `check` says how much can be hoped for, by who imports what.
@Suite("how much of a program can be served") struct VerdictTests {
    private func verdict(_ body: String) throws -> JSONValue {
        let program = try Compiled(
            "#include <stdio.h>\n#include <unistd.h>\nint main(void)\n{\n    char b[8];\n    \(body)\n"
                + "    return 0;\n}\n"
        )
        let run = try shimctl("check", "--json", program.path)
        return try json(run.stdout)["verdict"]
    }

    @Test("who reads at positions is served")
    func positions() throws {
        #expect(try verdict("if (pread(0, b, 8, 0) < 0) return 1;") == .string("served"))
        #expect(try verdict("if (pread(0, b, 8, 0) < 0 || !fgets(b, 8, stdin)) return 1;") == .string("served"))
    }

    @Test("who reads and opens no stream is served")
    func reads() throws {
        #expect(try verdict("if (read(0, b, 8) < 0) return 1;") == .string("served"))
    }

    @Test("who reads files through streams is told that its read may be for sockets")
    func streams() throws {
        #expect(try verdict("if (read(0, b, 8) < 0 || !fgets(b, 8, stdin)) return 1;") == .string("perhaps_little"))
    }

    @Test("who does neither is not served")
    func neither() throws {
        #expect(try verdict("if (!fgets(b, 8, stdin)) return 1;") == .string("not_served"))
    }

    @Test("no line of the report is wider than the terminal", arguments: [80, 120])
    func width(columns: Int) throws {
        let run = try shimctl("check", "/usr/bin/sqlite3", environment: ["COLUMNS": "\(columns)"])
        let widest = run.lines.map(\.count).max() ?? 0
        #expect(widest <= columns, "\(run.stdout)")
    }

    @Test(
        "a preload that is not ours is refused by every command that would use it", arguments: ["run", "env", "stat"])
    func foreignLibrary(verb: String) throws {
        let other = try Compiled("int nothing_at_all;", name: "libpmemshim.so", ["-shared", "-fPIC"])
        let arguments = [verb, "--mount", "/dev/shm"] + (verb == "env" ? [] : ["--", "/bin/true"])
        let run = try shimctl(arguments, environment: ["PMEMSHIM_LIBRARY": other.path])
        #expect(run.ending == .exited(69))
        #expect(run.stderr.contains("is not the library of pmemshim"), "\(run.stderr)")
    }

    @Test(
        "a negative number is told to be out of bounds, and not taken for an option",
        arguments: [
            ["stats", "--watch", "-1"], ["stats", "--pid", "-5"], ["top", "--delay", "-1"], ["stats", "--limit", "-3"],
            ["record", "--seconds", "-1"], ["compare", "--pairs", "-2", "--", "/bin/true"],
        ])
    func negative(arguments: [String]) throws {
        let run = try shimctl(arguments)
        #expect(run.ending == .exited(64))
        #expect(!run.stderr.contains("Missing value"), "\(run.stderr)")
    }
}
