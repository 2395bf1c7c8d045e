import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: cut short, cut off, scribbled over", .serialized) struct MirrorKillTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    /// A mirror, and what it holds at least.
    private func start() throws -> (set: MirroredImage, older: String) {
        let set = try MirroredImage(size: "128M")
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        return (set, try set.sums())
    }

    /// A change, and a pass to which strace does something: the file system goes on, and the mirror holds the state
    /// before or after, until the next pass.
    /// - Parameter older: the state before; then after.
    /// - Returns: the pass; nothing where it ended well.
    private func disturbed(_ set: MirroredImage, _ older: inout String, _ strace: String...) throws -> Run? {
        try set.write("a", 20_000, at: UInt64.random(in: 0..<280_000))
        _ = try spawn("/usr/bin/sync", [])
        let newer = try set.sums()
        let run = try spawn(
            "/usr/bin/strace",
            ["-f", "-o", "/dev/null"] + strace + [Shim.shimctl, "mirror", "sync", set.image.name, "--freeze"],
            timeout: .seconds(60))
        // Where it stands still this hangs.
        try set.write("alive", 100)
        unlink(set.path("alive"))
        defer { older = newer }
        guard run.ending != .exited(0) else { return nil }
        let promoted = try set.promoted()
        #expect(promoted.attach.ending == .exited(0), "\(strace): \(promoted.attach.stderr)")
        #expect(promoted.fsck.ending == .exited(0), "\(strace): \(promoted.fsck.stdout)")
        #expect([older, newer].contains(promoted.sums), "\(strace)")
        #expect(try set.sync("--freeze").ending == .exited(0), "\(strace)")
        #expect(try set.sums() == newer, "\(strace)")
        return run
    }

    /// Which calls a copier is killed at: those that change something, and of many that follow one another and do the
    /// same not each; with MIRROR_KILL_CALLS=all (two thousand, ten minutes) every one that a pass makes.
    private func calls(_ set: MirroredImage) throws -> (names: [String], numbers: [Int]) {
        guard ProcessInfo.processInfo.environment["MIRROR_KILL_CALLS"] == "all" else {
            return (
                ["pwrite64", "fsync", "ioctl", "rename", "unlink", "mkdir", "pread64", "write"],
                [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 17, 20, 25, 30, 40, 60, 80]
            )
        }
        let log = "\(set.image.directory)/calls"
        try set.write("a", 20_000)
        let run = try spawn(
            "/usr/bin/strace", ["-f", "-o", log, Shim.shimctl, "mirror", "sync", set.image.name, "--freeze"])
        try #require(run.ending == .exited(0), "\(run.stderr)")
        let names = try String(contentsOfFile: log, encoding: .utf8).matches(of: /(?m)^[0-9]+ +([a-z0-9_]+)\(/)
        return (Set(names.map { String($0.1) }).sorted(), Array(1...9_999))
    }

    @Test("a copier that is killed at any call leaves the older state or the new one, and a file system that goes on")
    func killed() throws {
        var (set, older) = try start()
        defer { set.close() }
        var steps = 0
        let (names, numbers) = try calls(set)
        older = try set.sums()
        for call in names {
            for number in numbers {
                let kill = "inject=\(call):signal=SIGKILL:when=\(number)"
                guard try disturbed(set, &older, "-e", "trace=\(call)", "-e", kill) != nil else { break }
                steps += 1
            }
        }
        #expect(steps > 40, "only \(steps) steps were seen")
        print("the copier was killed at \(steps) calls of \(names.count) kinds")
    }

    @Test(
        "a mirror that takes no more writes, from any one on, is said so and holds the older state or the new one",
        arguments: [("pwrite64", "ENOSPC"), ("fsync", "EIO")])
    func full(call: String, error: String) throws {
        var (set, older) = try start()
        defer { set.close() }
        var steps = 0
        for number in 1...40 {
            let fail = "inject=\(call):error=\(error):when=\(number)+"
            guard let run = try disturbed(set, &older, "-P", set.mirror, "-e", "trace=\(call)", "-e", fail) else {
                break
            }
            steps += 1
            #expect(run.ending == .exited(1) && run.stderr.contains(set.mirror), "\(number): \(run.stderr)")
        }
        #expect(steps > 3, "only \(steps) steps were seen")
    }

    @Test("a pass in place that is killed leaves a mirror that is called unfinished, until the next one ends")
    func killedInPlace() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        try set.write("b", 8 << 20)
        let run = try spawn(
            "/usr/bin/strace",
            [
                "-f", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=SIGKILL:when=5",
                Shim.shimctl, "mirror", "sync", set.image.name, "--freeze", "--in-place",
            ], timeout: .seconds(60))
        #expect(run.ending != .exited(0))
        #expect(try set.status()["state"].text == "unfinished")
        #expect(try set.status()["is_usable"].flag == false)
        #expect(try set.promoted().attach.stderr.contains("--stale"))
        let page = try #require(try set.pages(of: "a").first)
        try set.scribble(page: page)
        #expect(try set.repair("--page", "\(page)")["pages"][0]["outcome"].text == "refused")
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.status()["state"].text == "point")
    }

    @Test("records that are scribbled over prove nothing, and come back with the next full pass")
    func scribbledRecords() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let page = try #require(try set.pages(of: "a").first)
        let noise = Data((0..<4_096).map { _ in UInt8.random(in: 0...255) })
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: set.mirror))
        try handle.seek(toOffset: (2 << 20) + page * 64 / 4_096 * 4_096)
        try handle.write(contentsOf: noise)
        try handle.close()
        #expect(try #require(try set.verify()["pages_unknown"].number) > 0)
        try set.scribble(page: page)
        #expect(try set.repair("--page", "\(page)")["pages"][0]["outcome"].text == "refused")
        let before = try set.sums()
        #expect(try set.sync("--freeze", "--full").ending == .exited(0))
        #expect(try set.verify()["pages_unknown"].number == 0)
        #expect(try set.sums() == before)
    }

    @Test("a mirror that was cut, is of another set, or of a later version is refused, and both stay as they are")
    func refused() throws {
        let set = try MirroredImage(size: "64M")
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        let before = try Data(contentsOf: URL(fileURLWithPath: set.mirror))
        func expectRefused(_ reason: String, _ change: () throws -> Void) throws {
            try change()
            let changed = try Data(contentsOf: URL(fileURLWithPath: set.mirror))
            for verb in ["sync", "verify", "repair", "status"] {
                let run = try shimctl(["mirror", verb, set.image.name])
                #expect(run.ending == .exited(1), "\(verb)")
                #expect(run.stderr.contains(reason), "\(verb): \(run.stderr)")
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: set.mirror)) == changed)
            try before.write(to: URL(fileURLWithPath: set.mirror))
        }
        try expectRefused("has only") { truncate(set.mirror, 66 << 20) }
        let other = try MirroredImage(size: "64M")
        defer { other.close() }
        try expectRefused("another set") {
            try Data(contentsOf: URL(fileURLWithPath: other.mirror)).write(to: URL(fileURLWithPath: set.mirror))
        }
        try expectRefused("this shimctl knows") {
            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: set.mirror))
            for offset: UInt64 in [8, 1 << 20 | 8] {
                try handle.seek(toOffset: offset)
                try handle.write(contentsOf: Data([9, 0, 0, 0]))
            }
            try handle.close()
        }
        #expect(try set.sync("--freeze").ending == .exited(0))
    }

    @Test("bad options are refused with status 64")
    func badOptions() throws {
        for options in [
            ["sync"], ["sync", "x", "--rate", "1"], ["sync", "x", "--freeze-limit", "0"], ["run", "x", "--every", "0"],
            ["repair", "x", "--stale"], ["add", "x"], ["run", "x", "--passes", "0"],
        ] {
            #expect(try shimctl(["mirror"] + options).ending == .exited(64), "\(options)")
        }
    }
}
