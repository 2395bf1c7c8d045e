import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// `shimctl check` on programs of known kinds, made here or installed.
struct CheckTests {
    /// Reads and writes without streams.
    static let copying = """
        #include <unistd.h>
        int main(void) { char b[64]; long n; while ((n = read(0, b, 64)) > 0) write(1, b, n); return 0; }
        """

    private func check(_ program: String, _ environment: [String: String] = [:]) throws -> (Run, JSONValue) {
        let run = try shimctl("check", "--json", program, environment: environment)
        return (run, run.stdout.isEmpty ? .null : try json(run.stdout))
    }

    private func names(_ document: JSONValue, _ treatment: String) -> Set<String> {
        Set(document["imports"][treatment].items.compactMap { $0["name"].text })
    }

    @Test(arguments: ["/bin/ls", "/usr/bin/sqlite3", "/usr/lib/postgresql/15/bin/postgres", "/bin/cat", "/bin/bash"])
    func servesDynamicPrograms(_ program: String) throws {
        let (run, document) = try check(program)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(document["served"] == .bool(true))
        #expect(document["kind"] == .string("dynamic"))
        #expect(document["machine"] == .string("x86-64"))
        #expect(document["missing_libraries"] == .array([]))
        #expect(document["libraries"].items.contains { $0["name"] == .string("libc.so.6") })
    }

    @Test func findsWhatSQLiteReadsWithInItsLibrary() throws {
        let (_, document) = try check("sqlite3")
        #expect(document["program"] == .string("/usr/bin/sqlite3"))
        let read = document["imports"]["served"].items.first { $0["name"] == .string("pread64") }
        #expect(read?["imported_by"] == .array([.string("libsqlite3.so.0")]))
    }

    @Test func findsWhatPostgreSQLReadsWith() throws {
        let (_, document) = try check("/usr/lib/postgresql/15/bin/postgres")
        #expect(names(document, "served").isSuperset(of: ["pread", "pwrite", "fsync", "fdatasync"]))
        #expect(names(document, "passed_on").isSuperset(of: ["open", "close", "mmap"]))
        #expect(names(document, "stdio").contains("fread"))
        #expect(names(document, "unknown") == [])
    }

    @Test func doesNotServeAStaticProgram() throws {
        let program = try Compiled(Self.copying, ["-static"])
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(1))
        #expect(document["kind"] == .string("static"))
        #expect(document["served"] == .bool(false))
        #expect(document["obstacles"].items.count == 1)
    }

    @Test func doesNotServeAStaticPIE() throws {
        let program = try Compiled(Self.copying, ["-static-pie"])
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(1))
        #expect(document["kind"] == .string("static-pie"))
    }

    @Test(arguments: [["-pie", "-fPIE"], ["-no-pie"], ["-Wl,-z,now"], ["-Wl,--hash-style=sysv"], ["-s"]])
    func servesProgramsHoweverTheyAreLinked(_ options: [String]) throws {
        let program = try Compiled(Self.copying, options)
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(0))
        #expect(names(document, "served") == ["read", "write"])
    }

    @Test func servesAProgramWithoutSectionHeaders() throws {
        let program = try Compiled(Self.copying)
        // e_shoff, e_shnum and e_shstrndx.
        let patch = try spawn(
            "/usr/bin/python3",
            [
                "-c",
                """
                import sys
                with open(sys.argv[1], 'r+b') as f:
                    f.seek(0x28); f.write(bytes(8)); f.seek(0x3c); f.write(bytes(4))
                """, program.path,
            ])
        #expect(patch.ending == .exited(0), "\(patch.stderr)")
        #expect(try spawn(program.path).ending == .exited(0))
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(0))
        #expect(names(document, "served") == ["read", "write"])
    }

    @Test func doesNotServeASetuidProgram() throws {
        let (run, document) = try check("/bin/su")
        #expect(run.ending == .exited(1))
        #expect(document["privileges"] == .array([.string("setuid root")]))
        #expect(document["obstacles"][0].text?.contains("setuid root") == true)
    }

    @Test(arguments: [(0o4755, "setuid"), (0o2755, "setgid")] as [(mode_t, String)])
    func doesNotServeAProgramThatIsMade(_ mode: mode_t, _ word: String) throws {
        let program = try Compiled(Self.copying)
        #expect(try check(program.path).0.ending == .exited(0))
        #expect(chmod(program.path, mode) == 0)
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(1))
        #expect(document["privileges"][0].text?.hasPrefix(word) == true)
    }

    @Test func ignoresSetgidWithoutGroupExecution() throws {
        let program = try Compiled(Self.copying)
        #expect(chmod(program.path, 0o2745) == 0)
        #expect(try check(program.path).0.ending == .exited(0))
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func doesNotServeAProgramWithFileCapabilities() throws {
        let program = try Compiled(Self.copying)
        let set = try spawn("/usr/sbin/setcap", ["cap_net_raw+ep", program.path])
        #expect(set.ending == .exited(0), "\(set.stderr)")
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(1))
        #expect(document["privileges"] == .array([.string("file capabilities")]))
    }

    @Test(.enabled(if: geteuid() == 0, "needs root")) func ignoresSetuidOnANosuidMount() throws {
        let scratch = try ScratchDirectory()
        let program = try Compiled(Self.copying)
        #expect(
            try spawn("/usr/bin/mount", ["-t", "tmpfs", "-o", "nosuid", "test", scratch.path]).ending == .exited(0))
        defer { _ = try? spawn("/usr/bin/umount", ["--lazy", scratch.path]) }
        let copy = "\(scratch.path)/program"
        try FileManager.default.copyItem(atPath: program.path, toPath: copy)
        #expect(chmod(copy, 0o4755) == 0)
        let (run, document) = try check(copy)
        #expect(run.ending == .exited(0))
        #expect(document["privileges"] == .array([]))
    }

    @Test func doesNotServeAProgramThatOnlyUsesStreams() throws {
        let program = try Compiled("#include <stdio.h>\nint main(void) { return getchar() == EOF; }")
        let (run, document) = try check(program.path)
        #expect(run.ending == .exited(1))
        #expect(names(document, "stdio") == ["getchar"])
        #expect(names(document, "served") == [])
    }

    @Test func judgesAScriptByItsInterpreter() throws {
        let script = try Script("#!/bin/cat -u\nhello\n")
        let (run, document) = try check(script.path)
        #expect(run.ending == .exited(0))
        #expect(document["program"] == .string("/bin/cat"))
        #expect(document["scripts"] == .array([.string(script.path)]))
    }

    @Test func followsEnvToTheInterpreter() throws {
        let script = try Script("#!/usr/bin/env -S NAME=value cat -u\n")
        let (run, document) = try check(script.path)
        #expect(run.ending == .exited(0))
        #expect(document["program"].text?.hasSuffix("/bin/cat") == true)
        #expect(document["scripts"] == .array([.string(script.path), .string("/usr/bin/env")]))
    }

    @Test func judgesAScriptOfAStaticInterpreterAsThat() throws {
        let interpreter = try Compiled(Self.copying, ["-static"])
        let script = try Script("#!\(interpreter.path)\n")
        #expect(try check(script.path).0.ending == .exited(1))
    }

    @Test func findsProgramsInPATH() throws {
        let program = try Compiled(Self.copying, name: "a-program-of-this-test")
        let (run, document) = try check("a-program-of-this-test", ["PATH": "/nowhere:\(program.directory)"])
        #expect(run.ending == .exited(0))
        #expect(document["program"] == .string(program.path))
    }

    @Test func tellsALibraryFromAStaticPIE() throws {
        let library = try Compiled(
            "#include <unistd.h>\nlong f(void) { char c; return read(0, &c, 1); }", name: "libx.so",
            ["-shared", "-fPIC"])
        let (run, document) = try check(library.path)
        #expect(run.ending == .exited(0))
        #expect(document["kind"] == .string("shared-library"))
    }

    @Test func showsTheVerdictInText() throws {
        let program = try Compiled(Self.copying, ["-static"])
        let run = try shimctl("check", program.path)
        #expect(run.ending == .exited(1))
        #expect(run.stdout.contains("not served\n  because it is linked statically"))
    }
}

/// An executable text file.
final class Script {
    private let scratch: ScratchDirectory
    var path: String { "\(scratch.path)/script" }

    init(_ text: String) throws {
        scratch = try ScratchDirectory()
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        guard chmod(path, 0o755) == 0 else { throw SetupError("chmod \(path)") }
    }
}
