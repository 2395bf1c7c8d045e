import Foundation
import TestSupport
import Testing

/// Each program does file work with checks of its own, natively and then under the shim.
@Suite struct RealProgramTests {
    @Test(
        "interpreters, and what they call in libc by its name, do the same as without the shim",
        arguments: Script.real, [0, nil])
    func interpreters(script: Script, mapAfter: Int?) throws {
        try script.compare(on: .tmpfs, mapAfter: mapAfter)
    }

    @Test("Java with JNA does the same as without the shim", arguments: Script.jna)
    func java(script: Script) throws {
        try script.compare(on: .tmpfs, mapAfter: 0)
    }

    @Test("under faketime a program does the same, and the true times of its files move")
    func faketime() throws {
        for script in try Script.faketime() { try script.compare(on: .tmpfs, mapAfter: 0) }
    }

    @Test("a program of another libc runs as without the shim")
    func musl() throws {
        try Script.musl().compare(on: .tmpfs, mapAfter: 0)
    }

    @Test("traced by strace -f and by ltrace -f a program does the same as without the shim")
    func tracers() throws {
        let record = try ScratchDirectory()
        defer { record.close() }
        for script in try Script.tracers(recordingInto: "\(record.path)/record") {
            try script.compare(on: .tmpfs, mapAfter: 0)
            let text = try String(contentsOfFile: "\(record.path)/record", encoding: .utf8)
            // It was traced to the end, and so was its child.
            #expect(text.contains("exited with 0") || text.contains("exited (status 0)"))
            #expect(text.contains("exited with 7") || text.contains("exited (status 7)"))
        }
    }

    @Test("valgrind reports of SQLite what it reports without the shim", arguments: ["memcheck", "helgrind"])
    func valgrind(tool: String) throws {
        let served = try Script.valgrind(tool).compare(on: .tmpfs, mapAfter: 0)
        // It takes five lines for each system call that it does not know: the library asks once whether there is one.
        #expect(served.stderr.matches(of: #/unhandled amd64-linux syscall/#).count <= 1)
    }

    @Test(
        "valgrind's thread checkers report of threads what they report without the shim",
        arguments: ["helgrind", "drd"])
    func threadCheckers(tool: String) throws {
        try Script.threadChecker(tool).compare(on: .tmpfs, mapAfter: 0)
    }

    /// Through `shimctl run`, which puts the sanitizer's runtime first.
    @Test("SQLite built with AddressSanitizer does the same as without the shim")
    func sanitizedSQLite() throws {
        let output = "\(Shim.packageRoot)/.build/asan-sqlite"
        let build = try spawn("\(Shim.packageRoot)/scripts/asan-sqlite", [output], timeout: .seconds(600))
        guard build.ending == .exited(0) else { throw SetupError("scripts/asan-sqlite: \(build.stderr)") }
        let mount = try ScratchMount(.tmpfs, mebibytes: 128)
        defer { mount.close() }
        let statistics = try ScratchDirectory(in: "/dev/shm")
        defer { statistics.close() }
        let sql = Array(try Data(contentsOf: URL(filePath: "\(Script.directory)/work.sql")))
        let sqlite = ["\(output)/sqlite3-asan", "-batch", mount.path("database")]
        let shimctl = [try Shim.shimctl, "run", "--mount", mount.item, "--"]

        func start(_ command: [String]) throws -> Run {
            try TestSupport.run(
                command[0], Array(command.dropFirst()),
                environment: [
                    "PMEMSHIM_LIBRARY": Shim.library, "PMEMSHIM_RUNTIME_DIR": statistics.path,
                    "PMEMSHIM_MAP_AFTER": "0",
                ], preload: false, stdin: sql, timeout: .seconds(240))
        }
        let native = try start(sqlite)
        #expect(native.ending == .exited(0))
        let content = try Data(contentsOf: URL(filePath: mount.path("database")))
        try FileManager.default.removeItem(atPath: mount.path("database"))
        let served = try start(shimctl + sqlite)
        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stdout.contains("ok"))
        #expect(served.stderr == native.stderr)
        #expect(try Data(contentsOf: URL(filePath: mount.path("database"))) == content)
        // Built by its own rules it reads with lseek and read, where Debian has it use pread.
        #expect(try ServedCounts.read(runtimeDirectory: statistics.path).served("read") > 100)
    }
}
