import Foundation
import TestSupport
import Testing

/// How `shimctl check` finds libraries, imports and system calls: against ld.so and objdump where there is a truth.
struct CheckLibraryTests {
    private func check(_ program: String, _ environment: [String: String] = [:]) throws -> JSONValue {
        try json(try shimctl("check", "--json", program, environment: environment).stdout)
    }

    /// Two directories with a libx.so in each, and a program that needs it, with these linker options.
    private final class Fixture {
        let one: Compiled
        let two: Compiled
        let program: Compiled

        init(_ options: (_ one: String, _ two: String) -> [String]) throws {
            let source = "#include <unistd.h>\nlong x(void) { char c; return read(0, &c, 1); }"
            one = try Compiled(source, name: "libx.so", ["-shared", "-fPIC"])
            two = try Compiled(source, name: "libx.so", ["-shared", "-fPIC"])
            program = try Compiled(
                "long x(void); int main(void) { return x(); }",
                ["-L\(one.directory)", "-Wl,--no-as-needed", "-x", "none", "-lx"]
                    + options(one.directory, two.directory))
        }
    }

    private func pathOfX(_ document: JSONValue) -> String? {
        document["libraries"].items.first { $0["name"] == .string("libx.so") }?["path"].text
    }

    @Test(
        arguments: [
            "/bin/ls", "/usr/bin/sqlite3", "/usr/lib/postgresql/15/bin/postgres", "/usr/bin/git", "/usr/bin/python3",
            "/usr/bin/gdb", "/usr/bin/perl",
        ].filter { FileManager.default.isExecutableFile(atPath: $0) })
    func findsTheLibrariesThatLdSoFinds(_ program: String) throws {
        // LINE: "<tab>NAME => PATH (0xADDRESS)", or "<tab>PATH (0x...)" for the loader and the vdso.
        let list = try spawn("/lib64/ld-linux-x86-64.so.2", ["--list", program], environment: ["LC_ALL": "C"])
        #expect(list.ending == .exited(0))
        let truth = Set(
            list.lines.compactMap { line -> String? in
                guard let arrow = line.range(of: " => ") else { return nil }
                return String(line[arrow.upperBound...].prefix { $0 != " " })
            }
            .filter { !$0.contains("/ld-linux-x86-64.so") }
            .map { URL(filePath: $0).resolvingSymlinksInPath().path })
        #expect(!truth.isEmpty)
        let found = Set(
            try check(program)["libraries"].items.compactMap { $0["path"].text }
                .filter { !$0.contains("/ld-linux-x86-64.so") }
                .map { URL(filePath: $0).resolvingSymlinksInPath().path })
        #expect(found == truth)
    }

    @Test func searchesRPATHBeforeTheEnvironment() throws {
        let fixture = try Fixture { one, _ in ["-Wl,--disable-new-dtags", "-Wl,-rpath,\(one)"] }
        let document = try check(fixture.program.path, ["LD_LIBRARY_PATH": fixture.two.directory])
        #expect(pathOfX(document) == fixture.one.path)
    }

    @Test func searchesTheEnvironmentBeforeRUNPATH() throws {
        let fixture = try Fixture { one, _ in ["-Wl,--enable-new-dtags", "-Wl,-rpath,\(one)"] }
        #expect(pathOfX(try check(fixture.program.path)) == fixture.one.path)
        let document = try check(fixture.program.path, ["LD_LIBRARY_PATH": fixture.two.directory])
        #expect(pathOfX(document) == fixture.two.path)
    }

    @Test(arguments: ["$ORIGIN", "${ORIGIN}"]) func expandsOrigin(_ token: String) throws {
        let fixture = try Fixture { one, _ in
            ["-Wl,-rpath,\(token)/../\(URL(filePath: one).lastPathComponent)"]
        }
        let path = try #require(pathOfX(try check(fixture.program.path)))
        #expect(URL(filePath: path).standardizedFileURL.path == fixture.one.path)
    }

    @Test func skipsLibrariesOfAnotherMachine() throws {
        let fixture = try Fixture { one, two in ["-Wl,-rpath,\(one):\(two)"] }
        // e_machine: aarch64.
        let patch = try spawn(
            "/usr/bin/python3",
            ["-c", "import sys; f = open(sys.argv[1], 'r+b'); f.seek(18); f.write(b'\\xb7\\0')", fixture.one.path])
        #expect(patch.ending == .exited(0))
        #expect(pathOfX(try check(fixture.program.path)) == fixture.two.path)
    }

    @Test func saysWhichLibraryIsMissing() throws {
        let fixture = try Fixture { _, _ in [] }
        let run = try shimctl("check", "--json", fixture.program.path)
        #expect(run.ending == .exited(1))
        let document = try json(run.stdout)
        #expect(document["missing_libraries"] == .array([.string("libx.so")]))
        #expect(document["obstacles"][0].text?.contains("libx.so") == true)
    }

    @Test func countsImportsOfLibraries() throws {
        let fixture = try Fixture { one, _ in ["-Wl,-rpath,\(one)"] }
        let document = try check(fixture.program.path)
        #expect(document["served"] == .bool(true))
        #expect(document["imports"]["served"][0]["imported_by"] == .array([.string("libx.so")]))
    }

    @Test func marksAliasesThatTheTableLacksAsUnknown() throws {
        let library = try Compiled(
            "long __pread64_nocancel(void) { return 0; }", name: "libx.so", ["-shared", "-fPIC"])
        let program = try Compiled(
            "#include <unistd.h>\nlong __pread64_nocancel(void);\n"
                + "int main(void) { char c; return read(0, &c, 1) + __pread64_nocancel(); }",
            ["-x", "none", library.path])
        let document = try check(program.path)
        #expect(document["imports"]["unknown"][0]["name"] == .string("__pread64_nocancel"))
    }

    @Test func saysWhenTheProgramDefinesACallItself() throws {
        let program = try Compiled(
            "#include <unistd.h>\nint fsync(int fd) { return fd < 0; }\n"
                + "int main(void) { char c; return read(0, &c, 1) + fsync(1); }", ["-rdynamic"])
        let document = try check(program.path)
        #expect(document["remarks"].items.contains { $0.text?.contains("defines fsync itself") == true })
    }

    @Test func saysWhenSyscallIsUsed() throws {
        let program = try Compiled(
            "#include <unistd.h>\nint main(void) { char c; return syscall(0, 0, &c, 1) + read(0, &c, 1); }")
        #expect(try check(program.path)["uses_syscall_function"] == .bool(true))
    }

    @Test func saysWhenDlopenIsUsed() throws {
        let program = try Compiled(
            "#include <dlfcn.h>\n#include <unistd.h>\n"
                + "int main(void) { char c; return dlopen(\"x\", 1) == 0 || read(0, &c, 1); }")
        #expect(try check(program.path)["uses_dlopen"] == .bool(true))
    }

    @Test func findsSyscallInstructionsWithTheirNumbers() throws {
        let program = try Compiled(
            """
            #include <unistd.h>
            static long call(long n) { long r; asm volatile("syscall" : "=a"(r) : "a"(n) : "rcx", "r11"); return r; }
            int main(int argc, char **argv)
            {
                (void)argv;
                char c;
                asm volatile("mov $3, %%eax; syscall" ::: "rax", "rcx", "r11");
                asm volatile("xor %%eax, %%eax; syscall" ::: "rax", "rcx", "r11");
                asm volatile("mov $0x50f, %%eax; lea 0x50f(%%rax), %%rdx; movabs $0x50f050f050f, %%rcx"
                    ::: "rax", "rdx", "rcx");
                return call(argc) + read(0, &c, 1);
            }
            """, ["-O1", "-fno-inline"])
        let calls = try check(program.path)["raw_syscalls"][0]
        #expect(calls["object"] == .string(program.path))
        #expect(calls["file_calls"] == .array([.string("close"), .string("read")]))
        #expect(calls["count"].number ?? 0 >= 2)
        #expect(calls["count"].number ?? 9 <= 3)
    }

    @Test func findsNoSyscallInstructionsInOtherInstructions() throws {
        let program = try Compiled(
            """
            #include <unistd.h>
            int main(void)
            {
                char c;
                asm volatile("mov $0, %%eax; mov $0x50f, %%edx; lea 0x50f(%%rax), %%rdx; movabs $0x50f050f050f, %%rcx"
                    ::: "rax", "rdx", "rcx");
                return read(0, &c, 1);
            }
            """)
        #expect(try check(program.path)["raw_syscalls"] == .array([]))
    }

    @Test(
        arguments: ["libc.so.6", "libpthread.so.0", "libstdc++.so.6", "libsystemd.so.0", "libgnutls.so.30"].map {
            "/lib/x86_64-linux-gnu/\($0)"
        }.filter { FileManager.default.fileExists(atPath: $0) })
    func countsTheSyscallInstructionsThatObjdumpSees(_ library: String) throws {
        // Under another name and without its own: else it would be taken for a part of libc, which is not looked at.
        let scratch = try ScratchDirectory()
        let copy = "\(scratch.path)/libcopy.so"
        let whole = URL(filePath: library).resolvingSymlinksInPath().path
        try FileManager.default.copyItem(atPath: whole, toPath: copy)
        let patch = try spawn(
            "/usr/bin/python3", ["-c", Self.renameSoname, copy, URL(filePath: library).lastPathComponent])
        #expect(patch.ending == .exited(0), "\(patch.stderr)")
        let objdump = try spawn("/usr/bin/objdump", ["-d", "--no-show-raw-insn", copy], timeout: .seconds(120))
        let truth = objdump.lines.filter { $0.hasSuffix("\tsyscall") || $0.hasSuffix("\tsyscall ") }.count
        let document = try check(copy)
        let own = document["raw_syscalls"].items.first { $0["object"].text == copy }
        #expect(own?["count"].number ?? 0 == UInt64(truth))
    }

    /// Overwrites the name's every occurrence with one of the same length.
    private static let renameSoname = """
        import sys
        with open(sys.argv[1], 'r+b') as f:
            old = sys.argv[2].encode() + b'\\0'
            text = f.read()
            f.seek(0)
            f.write(text.replace(b'\\0' + old, b'\\0' + b'x' * (len(old) - 1) + b'\\0'))
        """
}
