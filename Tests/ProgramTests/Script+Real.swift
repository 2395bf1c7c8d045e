import Foundation
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// Programs that bring a runtime, a libc, a clock or a debugger of their own.
extension Script {
    /// Interpreters, each with calls of its own kind. Of the two ways to take libc's functions by name, Java's JNA
    /// finds "c" in the process as a whole, and "libc.so.6" in that library.
    static let real: [Script] = [
        real("Node.js", "/usr/bin/node", ["\(directory)/files.js"]),
        // Perl's taint checks: the last argument is what came from outside.
        real("Perl", "/usr/bin/perl", ["-T", "\(directory)/files.pl", "tainted-name"]),
        real("ctypes and cffi", "/usr/bin/python3", ["-B", "\(directory)/by-name.py"]),
        real("Fiddle", "/usr/bin/ruby", ["\(directory)/fiddle.rb"]),
    ]

    static let jna = ["c", "libc.so.6"].map { library in
        real(
            "JNA, \(library)", "/usr/bin/java",
            [
                "-XX:TieredStopAtLevel=1", "--add-opens", "java.base/java.io=ALL-UNNAMED", "-cp",
                "/usr/share/java/jna.jar", "\(directory)/ByName.java", library,
            ])
    }

    /// A clock that runs elsewhere, one that stands, and one that stands while the times of files are the true ones:
    /// then the program sees whether they move.
    static func faketime() throws -> [Script] {
        let program = try files.get()
        return [
            real("faketime, running", "/usr/bin/faketime", ["2020-02-02 12:00:00", program, "."]),
            real("faketime, standing", "/usr/bin/faketime", ["-f", "2020-02-02 12:00:00", program, "."]),
            real(
                "faketime, true times of files", "/usr/bin/env",
                ["NO_FAKE_STAT=1", "/usr/bin/faketime", "-f", "2020-02-02 12:00:00", program, "."]),
        ]
    }

    /// The library stands back in a process of another libc.
    static func musl() throws -> Script {
        var script = real("musl", try filesOnMusl.get(), ["."])
        script.isServed = false
        return script
    }

    /// What they record goes into a file outside of the mount: it is not the same twice.
    static func tracers(recordingInto record: String) throws -> [Script] {
        let program = try files.get()
        return [
            real("strace -f", "/usr/bin/strace", ["-f", "-o", record, program, "."]),
            real("ltrace -f", "/usr/bin/ltrace", ["-f", "-o", record, program, "."]),
        ]
    }

    /// SQLite under a tool of valgrind's, which ends with 99 where it has found anything.
    static func valgrind(_ tool: String) throws -> Script {
        var script = checked(by: tool, ["/usr/bin/sqlite3", "-batch", "database"])
        script.stdin = Array(try Data(contentsOf: URL(filePath: "\(directory)/work.sql")))
        return script
    }

    /// Threads under its thread checkers, with the suppressions that docs/debugging.md has one use.
    static func threadChecker(_ tool: String) throws -> Script {
        let suppressions = "\(Shim.packageRoot)/scripts/valgrind/libpmemshim.supp"
        return checked(by: tool, ["--suppressions=\(suppressions)", try threads.get(), "."])
    }

    private static func checked(by tool: String, _ arguments: [String]) -> Script {
        var script = real(
            tool, "/usr/bin/valgrind", ["--tool=\(tool)", "-q", "--error-exitcode=99"] + arguments)
        script.filter = reports
        return script
    }

    /// What valgrind reports of the program; what it says of itself begins with hyphens: that a system call is not
    /// known to it, which the library then does without.
    private static let reports: @Sendable (String) -> String = { text in
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.contains(#/^--\d+-- /#) }.map { $0.replacing(#/^==\d+==/#, with: "==PID==") }
            .joined(separator: "\n")
    }

    private static func real(_ name: String, _ interpreter: String, _ arguments: [String]) -> Script {
        Script(name: name, interpreter: interpreter, arguments: arguments, mustSucceed: true)
    }

    /// `files.c` and its like, compiled once.
    static let files = Result { try compiled("files", by: "/usr/bin/gcc") }
    static let stepped = Result { try compiled("stepped", by: "/usr/bin/gcc") }
    private static let threads = Result { try compiled("threads", by: "/usr/bin/gcc") }
    private static let filesOnMusl = Result { try compiled("files", by: "/usr/bin/musl-gcc") }

    private static func compiled(_ source: String, by compiler: String) throws -> String {
        let output = "\(Shim.packageRoot)/.build/test-programs"
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        let program = "\(output)/\(source)-\(URL(filePath: compiler).lastPathComponent)"
        // Under a name of its own first: another test process may be running the program.
        let fresh = "\(program).\(getpid())"
        let run = try spawn(
            compiler,
            ["-D_GNU_SOURCE", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "\(directory)/\(source).c"]
                + ["-o", fresh])
        guard run.ending == .exited(0), rename(fresh, program) == 0 else {
            throw SetupError("\(source).c does not compile:\n\(run.stderr)")
        }
        return program
    }
}
