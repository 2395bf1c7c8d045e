import Foundation
import TestSupport
import Testing

/// Programs built with a sanitizer, whose runtime must come before the shim: `check` says so, `run` does so.
struct SanitizerTests {
    /// Reads and writes a file, checks what it read, and with a second argument reads 200 bytes into 100.
    private static let source = """
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(int count, char **arguments)
        {
            int fd = open(arguments[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
            char *page = malloc(4096);
            for (int i = 0; i < 256; i++) {
                memset(page, i, 4096);
                if (write(fd, page, 4096) != 4096)
                    return 1;
            }
            long sum = 0;
            for (int i = 0; i < 600; i++) {
                int wanted = i * 7 % 200;
                if (pread(fd, page, 4096, wanted * 4096L) != 4096 || page[17] != (char)wanted)
                    return 3;
                sum = sum * 31 + page[4095];
            }
            for (int i = 0; i < 100; i++)
                if (pwrite(fd, page, 4096, i * 8192L) != 4096)
                    return 4;
            printf("%lx\\n", sum);
            fflush(stdout);
            volatile size_t length = 200;
            char *small = malloc(100);
            if (count > 2)
                printf("not seen: %zd\\n", pread(fd, small, length, 4096));
            free(small);
            free(page);
            close(fd);
            return unlink(arguments[1]);
        }
        """

    struct Build: Sendable, CustomTestStringConvertible {
        var compiler = "/usr/bin/gcc"
        var options: [String]
        var sanitizer: String
        /// What a shared runtime is called; empty for one that is linked into the program.
        var runtime = ""
        var reportsOverruns = false

        var testDescription: String { "\(compiler) \(options.joined(separator: " "))" }

        static let all: [Build] =
            [
                Build(
                    options: ["-fsanitize=address"], sanitizer: "AddressSanitizer", runtime: "libasan.so",
                    reportsOverruns: true),
                Build(
                    options: ["-fsanitize=address", "-static-libasan"], sanitizer: "AddressSanitizer",
                    reportsOverruns: true),
                Build(options: ["-fsanitize=thread"], sanitizer: "ThreadSanitizer", runtime: "libtsan.so"),
            ]
            + clangs
        private static let clangs: [Build] = Clang.path.map(byClang) ?? []

        private static func byClang(_ clang: String) -> [Build] {
            [
                Build(
                    compiler: clang, options: ["-fsanitize=address"], sanitizer: "AddressSanitizer",
                    reportsOverruns: true),
                Build(
                    compiler: clang,
                    options: ["-fsanitize=address", "-shared-libasan", "-Wl,-rpath,\(Clang.runtimes(clang))"],
                    sanitizer: "AddressSanitizer", runtime: "libclang_rt.asan", reportsOverruns: true),
            ]
        }
    }

    /// The one that Swift brings along.
    private enum Clang {
        static let path: String? = {
            guard let swift = ProgramPath.of("swift") else { return nil }
            let clang = URL(filePath: swift).resolvingSymlinksInPath().deletingLastPathComponent()
                .appending(path: "clang").path
            return FileManager.default.isExecutableFile(atPath: clang) ? clang : nil
        }()

        static func runtimes(_ clang: String) -> String {
            let library = try? spawn(clang, ["-print-file-name=libclang_rt.asan-x86_64.so"]).stdout
            return URL(filePath: library?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "/")
                .deletingLastPathComponent().path
        }
    }

    private func compile(_ build: Build) throws -> Compiled {
        try Compiled(Self.source, ["-O1", "-g", "-w"] + build.options, compiler: build.compiler)
    }

    @Test(arguments: Build.all) func runPutsTheRuntimeFirst(_ build: Build) throws {
        let program = try compile(build)
        let mount = try ScratchMount(.tmpfs)
        defer { mount.close() }
        let runtime = try ScratchDirectory(in: "/dev/shm")
        let file = mount.path("file")
        let native = try spawn(program.path, [file], environment: [:])
        #expect(native.ending == .exited(0))
        let environment = try [
            "PMEMSHIM_LIBRARY": Shim.library, "PMEMSHIM_RUNTIME_DIR": runtime.path, "PMEMSHIM_MAP_AFTER": "0",
        ]
        let served = try shimctl("run", "--mount", mount.item, "--", program.path, file, environment: environment)
        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        let counts = try ServedCounts.read(runtimeDirectory: runtime.path)
        #expect(counts.served("pread") >= 600)
        #expect(counts.served("pwrite") > 0)

        guard build.reportsOverruns else { return }
        let before = counts.served("pread")
        let overrun = try shimctl(
            "run", "--mount", mount.item, "--", program.path, file, "overrun", environment: environment)
        #expect(overrun.ending == .exited(1))
        #expect(overrun.stderr.contains("AddressSanitizer: heap-buffer-overflow"), "\(overrun.stderr)")
        #expect(!overrun.stdout.contains("not seen"))
        // The 600 before it as well: it was a served one.
        #expect(try ServedCounts.read(runtimeDirectory: runtime.path).served("pread") >= before + 600)
    }

    @Test(arguments: Build.all) func checkNamesTheRuntime(_ build: Build) throws {
        let program = try compile(build)
        let run = try shimctl("check", "--json", program.path)
        #expect(run.ending == .exited(0))
        let found = try json(run.stdout)["sanitizers"]
        #expect(found.items.count == 1)
        #expect(found[0]["name"] == .string(build.sanitizer))
        if build.runtime.isEmpty {
            #expect(found[0]["runtime"] == .null)
        } else {
            let path = try #require(found[0]["runtime"].text)
            #expect(URL(filePath: path).lastPathComponent.hasPrefix(build.runtime))
            #expect(FileManager.default.fileExists(atPath: path))
        }
        let text = try shimctl("check", program.path).stdout
        #expect(text.contains(build.sanitizer))
        #expect(text.contains("puts it first in LD_PRELOAD") == !build.runtime.isEmpty)
        // Its definitions of read and the like are a step on the way, not an end.
        #expect(!text.contains("itself: calls of these never reach the shim"))
    }

    @Test func otherPreloadsKeepTheirOrderBehindTheRuntime() throws {
        let program = try Compiled(
            "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv(\"LD_PRELOAD\")); }",
            ["-fsanitize=address"])
        let one = try Compiled("int one;", name: "libone.so", ["-shared", "-fPIC"])
        let two = try Compiled("int two;", name: "libtwo.so", ["-shared", "-fPIC"])
        let library = try EmptyLibrary.shared.get().path
        let found = try json(try shimctl("check", "--json", program.path).stdout)["sanitizers"][0]["runtime"]
        let runtime = try #require(found.text)
        for inherited in ["\(one.path):\(two.path)", "\(runtime) \(one.path):\(two.path)"] {
            let run = try shimctl(
                "run", "--mount", "/dev/shm", "--", program.path, environment: ["LD_PRELOAD": inherited])
            #expect(run.stdout == "\(runtime):\(one.path):\(two.path):\(library)\n", "\(run.stderr)")
        }
    }

    @Test func findsTheRuntimeOfALibraryThatTheProgramNeeds() throws {
        let library = try Compiled(
            "int checked(char *text) { return text[0]; }", name: "libchecked.so",
            ["-shared", "-fPIC", "-fsanitize=address"])
        let program = try Compiled(
            "#include <unistd.h>\nint checked(char *);\n"
                + "int main(void) { char c = 0; return read(0, &c, 0) + checked(&c); }",
            ["-L\(library.directory)", "-Wl,-rpath,\(library.directory)", "-x", "none", "-lchecked"])
        #expect(try shimctl("run", "--mount", "/dev/shm", "--", program.path).ending == .exited(0))
    }

    @Test func otherProgramsGetNoRuntime() throws {
        let run = try shimctl("run", "--mount", "/dev/shm", "--", "/usr/bin/printenv", "LD_PRELOAD")
        #expect(run.stdout == "\(try EmptyLibrary.shared.get().path)\n")
        #expect(try json(try shimctl("check", "--json", "/bin/cat").stdout)["sanitizers"] == .array([]))
    }
}
