import Foundation
import TestSupport
import Testing

/// Page tables of windows are memory that a program would not need natively. There is a budget of them.
@Suite("What windows weigh stays within their budget")
struct WeightTests {
    private static let mebibytes = 192

    private func weigh(calls: Int, memory: String?, in cgroup: String? = nil) throws -> Run {
        let mount = try ScratchMount(.tmpfs, mebibytes: 256)
        let fill = """
            import sys
            with open(sys.argv[1], "wb") as file:
                for number in range(int(sys.argv[2]) << 8):
                    file.write(number.to_bytes(8, "little") + bytes(4088))
            """
        let made = try run(
            "/usr/bin/python3", ["-c", fill, mount.path("file"), String(WeightTests.mebibytes)], preload: false)
        #expect(made.ending == .exited(0), "\(made.stderr)")
        let program = [try Programs.path("weight"), mount.path("file"), String(calls)]
        let environment = memory.map { ["PMEMSHIM_MEMORY": $0] } ?? [:]
        guard let cgroup else {
            return try run(
                program[0], Array(program[1...]), environment: environment, preload: true, mounts: [mount.item],
                mapAfter: nil)
        }
        // The shell goes into the cgroup and becomes the program.
        return try run(
            "/bin/sh", ["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"", cgroup] + program,
            environment: environment, preload: true, mounts: [mount.item], mapAfter: nil)
    }

    private func kibibytes(_ run: Run) throws -> Int {
        #expect(run.ending == .exited(0), "\(run.stderr)")
        return try #require(Int(run.stdout.split(separator: "\n").first ?? ""))
    }

    @Test("with room for a part of a file that part is served, and with room for all of it all")
    func partAndAll() throws {
        let none = try weigh(calls: 60_000, memory: "0")
        let part = try weigh(calls: 60_000, memory: "128K")
        let all = try weigh(calls: 60_000, memory: "16M")
        #expect(none.counts.served("pread") == 0)
        #expect(part.counts.served("pread") > 3_000)
        #expect(all.counts.served("pread") > 2 * part.counts.served("pread"))
        // 384 for all of it; and up to 64 for the figures and page arrays, which come with the first window.
        #expect(try kibibytes(part) - kibibytes(none) <= 128 + 64)
        #expect(try kibibytes(all) - kibibytes(none) > 300)
    }

    @Test("a program that lives in its memory cgroup natively lives in it under the shim")
    func cgroup() throws {
        let parent = "/sys/fs/cgroup/memory"
        let directory = "\(parent)/pmemshim-test-\(ProcessInfo.processInfo.processIdentifier)"
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            try Data("6291456".utf8).write(to: URL(fileURLWithPath: "\(directory)/memory.limit_in_bytes"))
        } catch {
            rmdir(directory)
            try Test.cancel("no memory cgroup of version 1 can be made here: \(error.localizedDescription)")
        }
        defer { rmdir(directory) }
        let run = try weigh(calls: 60_000, memory: nil, in: directory)
        #expect(run.ending == .exited(0), "\(run.ending)")
        #expect(run.counts.served("pread") > 3_000)
    }
}
