import Foundation
import TestSupport
import Testing

/// `run` and `stats` with the real library: what a program did is what the figures say.
struct EndToEndTests {
    /// Reads 4 KiB `argv[2]` times from the first 256 KiB of `argv[1]`, then runs `argv[3]` with a shell, still mapped.
    private static let reader = """
        #include <fcntl.h>
        #include <stdlib.h>
        #include <unistd.h>
        int main(int argc, char **argv)
        {
            static char page[4096];
            int fd = open(argv[1], O_RDONLY);
            for (int i = 0; i < atoi(argv[2]); i++)
                if (pread(fd, page, sizeof page, i % 64 * 4096) != sizeof page) return 1;
            unsetenv("LD_PRELOAD");
            return argc > 3 ? system(argv[3]) != 0 : 0;
        }
        """

    private final class Fixture {
        let mount: ScratchMount
        let runtime: ScratchDirectory
        let program: Compiled
        var file: String { mount.path("file") }

        init() throws {
            mount = try ScratchMount(.tmpfs, mebibytes: 16)
            runtime = try ScratchDirectory()
            program = try Compiled(EndToEndTests.reader)
            try Data(repeating: 7, count: 1 << 20).write(to: URL(filePath: file))
        }

        func shimctl(_ arguments: [String]) throws -> Run {
            try ShimctlTests.shimctl(
                arguments,
                environment: [
                    "PMEMSHIM_LIBRARY": Shim.library, "PMEMSHIM_RUNTIME_DIR": runtime.path, "PMEMSHIM_MAP_AFTER": "24",
                ])
        }

        func read(_ count: Int, _ command: String...) throws -> Run {
            try shimctl(
                ["run", "--mount", mount.directory, "--", program.path, file, String(count)] + command)
        }
    }

    @Test func countsEveryCallAndEveryByteServed() throws {
        let fixture = try Fixture()
        #expect(try fixture.read(1_000).ending == .exited(0))
        let mount = try json(fixture.shimctl(["stats", "--json"]).stdout)["mounts"][0]
        #expect(mount["path"] == .string(fixture.mount.directory))
        #expect(mount["backing"] == .string("memory"))
        let pread = mount["figures"]["families"]["pread"]
        let served = try #require(pread["served"].number)
        let passedOn = try #require(pread["passed_on"].number)
        #expect(served + passedOn == 1_000)
        #expect(served > 900)
        #expect(mount["figures"]["bytes_read"]["served"] == .number(served * 4096))
        // The first calls on a descriptor are counted once it is known; how much they moved is not.
        #expect(mount["figures"]["bytes_read"]["passed_on"].number ?? .max <= passedOn * 4096)
    }

    @Test func agreesWithAReaderInC() throws {
        let fixture = try Fixture()
        for _ in 0..<3 { #expect(try fixture.read(500).ending == .exited(0)) }
        let truth = try ServedCounts.read(runtimeDirectory: fixture.runtime.path)
        let document = try json(fixture.shimctl(["stats", "--json"]).stdout)
        #expect(document["total"]["served"] == .number(UInt64(truth.served())))
        #expect(document["total"]["passed_on"] == .number(UInt64(truth.passedOn)))
        #expect(document["total"]["bytes_read"]["served"] == .number(UInt64(truth.servedBytesRead)))
        #expect(document["processes"].items.count == 3)
        #expect(document["processes"].items.allSatisfy { $0["state"] == .string("ended") })
        #expect(document["mounts"][0]["processes_ended"] == .number(3))
    }

    @Test func showsTheWindowsOfALiveProcess() throws {
        let fixture = try Fixture()
        let command = "'\(try Shim.shimctl)' stats --json --pid $PPID"
        let run = try fixture.read(1_000, command)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let process = try json(run.stdout)["processes"][0]
        #expect(process["state"] == .string("live"))
        #expect(process["command"] == .string("program"))
        #expect(process["mounts"][0]["windows"] == .number(1))
        #expect(process["mounts"][0]["mapped_bytes"].number ?? 0 >= 1 << 20)
        // Once it has ended they are gone, and the figures stay.
        let after = try json(fixture.shimctl(["stats", "--json"]).stdout)["processes"][0]
        #expect(after["state"] == .string("ended"))
        #expect(after["mounts"][0]["windows"] == .number(0))
        #expect(after["mounts"][0]["windows_total"] == .number(1))
    }

    @Test func logsTheFile() throws {
        let fixture = try Fixture()
        let log = "\(fixture.runtime.path)/files.log"
        let run = try fixture.shimctl(
            ["run", "--mount", fixture.mount.directory, "--log", log, "--", fixture.program.path, fixture.file, "100"])
        #expect(run.ending == .exited(0))
        #expect(try String(contentsOfFile: log, encoding: .utf8).contains("served \(fixture.file)"))
    }

    @Test func countsNothingWhenDisabled() throws {
        let fixture = try Fixture()
        let run = try shimctl(
            "run", "--mount", fixture.mount.directory, "--", fixture.program.path, fixture.file, "100",
            environment: [
                "PMEMSHIM_LIBRARY": Shim.library, "PMEMSHIM_RUNTIME_DIR": fixture.runtime.path, "PMEMSHIM_DISABLE": "1",
            ])
        #expect(run.ending == .exited(0))
        #expect(try json(fixture.shimctl(["stats", "--json"]).stdout)["mounts"] == .array([]))
    }
}
