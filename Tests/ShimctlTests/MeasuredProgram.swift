import Foundation
import TestSupport

/// A program with a file on a tmpfs, for the commands that run and measure one.
final class MeasuredProgram {
    /// Reads 4 KiB `argv[2]` times at offsets of the first 256 KiB of `argv[1]`, prints their sum, and ends with
    /// `argv[3]`, or by that signal if it is negative.
    private static let source = """
        #include <fcntl.h>
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        int main(int argc, char **argv)
        {
            static unsigned char page[4096];
            unsigned long sum = 0;
            int fd = open(argv[1], O_RDWR), end = argc > 3 ? atoi(argv[3]) : 0;
            for (int i = 0; i < atoi(argv[2]); i++) {
                if (pread(fd, page, sizeof page, i % 64 * 4096) != sizeof page) return 1;
                sum += page[i % 4096];
            }
            printf("%lu\\n", sum);
            fflush(stdout);
            if (end < 0) raise(-end);
            return end;
        }
        """

    let mount: ScratchMount
    let program: Compiled
    let scratch: ScratchDirectory
    var file: String { mount.path("file") }

    init() throws {
        mount = try ScratchMount(.tmpfs, mebibytes: 160)
        program = try Compiled(Self.source, name: "reader")
        scratch = try ScratchDirectory()
        try Data(repeating: 7, count: 1 << 20).write(to: URL(filePath: file))
    }

    var environment: [String: String] {
        [
            "PMEMSHIM_LIBRARY": (try? Shim.library) ?? "", "PMEMSHIM_RUNTIME_DIR": scratch.path,
            "PMEMSHIM_MAP_AFTER": "24",
        ]
    }

    func shimctl(_ arguments: String...) throws -> Run { try shimctl(arguments) }

    func shimctl(_ arguments: [String]) throws -> Run {
        try ShimctlTests.shimctl(arguments, environment: environment)
    }

    /// `options -- program file calls end`.
    func run(_ options: [String], calls: Int, end: Int = 0) throws -> Run {
        try shimctl(
            options + ["--mount", mount.directory, "--", program.path, file, "\(calls)", "\(end)"])
    }
}
