import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: copies", .serialized) struct MirrorTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    @Test(
        "a frozen pass makes a mirror that takes the primary's place: fsck clean, all files equal",
        arguments: ["ext4", "xfs"])
    func promotes(fileSystem: String) throws {
        let set = try MirroredImage(fileSystem)
        defer { set.close() }
        #expect(try set.status()["state"].text == "empty")
        #expect(try set.promoted(fileSystem).attach.ending == .exited(1))
        for name in ["a", "b", "c"] { try set.write(name, 3 << 20) }
        for round in 0..<4 {
            let run = try set.sync("--freeze", "--json")
            try #require(run.ending == .exited(0), "\(run.stderr)")
            let pass = set.json(run)
            #expect(pass["compared"].text == (round == 0 ? "full" : "files"))
            #expect(pass["is_point"].flag == true)
            #expect(try set.status()["state"].text == "point")
            let sums = try set.sums()
            let promoted = try set.promoted(fileSystem)
            #expect(promoted.fsck.ending == .exited(0), "\(promoted.fsck.stdout)")
            #expect(promoted.sums == sums, "round \(round)")
            // Overwritten in place, grown, new, gone.
            try set.write("a", 5_000, at: 1_000_000)
            try set.write("b", 100_000, at: 3 << 20)
            try set.write("new \(round)", 700_000)
            if round == 1 { unlink(set.path("c")) }
        }
        let verified = try set.verify()
        #expect(verified["faults"][0].value == nil)
        #expect(try #require(verified["pages_recorded"].number) > 1_000)
    }

    @Test("later passes compare what has changed, and copy no more than that")
    func changes() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("large", 64 << 20)
        #expect(try set.sync("--freeze").ending == .exited(0))
        // A change within 20 ms of the pass would count as one after it.
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let pass = set.json(try set.sync("--freeze", "--json"))
        #expect(try #require(pass["compared_bytes"].number) < 48 << 20)
        #expect(try #require(pass["copied_bytes"].number) < 1 << 20)
        try set.write("large", 4_096, at: 8 << 20)
        let next = set.json(try set.sync("--freeze", "--json"))
        #expect(try #require(next["compared_bytes"].number) > 64 << 20)
        #expect(try #require(next["copied_bytes"].number) < 1 << 20)
    }

    @Test("run follows what the kernel writes, and a promoted mirror has what was written before its last pass")
    func follows() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 20 << 20)
        let script = """
            "$0" mirror run "$1" --every 0.2 --freeze --passes 6 --json > "$2" 2>&1 &
            for i in 1 2 3 4 5; do sleep 0.2; head -c 50000 /dev/urandom > "$3/f$i"; done
            wait
            """
        let output = "\(set.image.directory)/passes"
        let run = try spawn(
            "/bin/sh", ["-c", script, Shim.shimctl, set.image.name, output, set.mount], timeout: .seconds(60))
        #expect(run.ending == .exited(0))
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
        try #require(lines.count == 6, "\(lines)")
        if FileManager.default.fileExists(atPath: "/sys/kernel/tracing/instances") {
            #expect(lines.dropFirst().allSatisfy { $0.contains("\"compared\":\"changes\"") }, "\(lines)")
        }
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.promoted().sums == set.sums())
    }

    @Test("without --freeze the copy is no one moment's state, and does not take the primary's place unasked")
    func notFrozen() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 1 << 20)
        #expect(try set.sync().ending == .exited(0))
        #expect(try set.status()["state"].text == "copied")
        #expect(try set.status()["is_usable"].flag == false)
        let refused = try set.promoted().attach
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("--stale"), "\(refused.stderr)")
    }

    @Test("an unmounted device is copied in full, and that is one moment's state")
    func unmounted() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 1 << 20)
        let sums = try set.sums()
        try set.unmount()
        let pass = set.json(try set.sync("--json"))
        #expect(pass["compared"].text == "full")
        #expect(pass["is_point"].flag == true)
        #expect(try set.promoted().sums == sums)
    }

    @Test("more changes than the log holds: the pass fails, and the older state stays; --in-place copies them")
    func logFull() throws {
        let set = try MirroredImage(log: "4M")
        defer { set.close() }
        try set.write("a", 1 << 20)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let sums = try set.sums()
        try set.write("b", 16 << 20)
        let run = try set.sync("--freeze")
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("--in-place"), "\(run.stderr)")
        #expect(try set.promoted().sums == sums)
        #expect(try set.sync("--freeze", "--in-place").ending == .exited(0))
        #expect(try set.promoted().sums == set.sums())
    }

    @Test("attach of a set without DAX says who keeps the mirror: the kernel, or passes where it offers no dm-mirror")
    func keeper() throws {
        let set = try MirroredImage(size: "64M")
        defer { set.close() }
        try set.write("a", 40_960)
        #expect(try set.sync("--freeze").ending == .exited(0))
        try set.unmount()
        #expect(try shimctl(["detach", set.image.name]).ending == .exited(0))
        let attached = try set.image.attach()
        #expect(attached.ending == .exited(0), "\(attached.stderr)")
        let isKernel = attached.stdout.contains("mirrored by the kernel (dm-mirror) on \(set.mirror)")
        #expect(isKernel != attached.stderr.contains("offers no dm-mirror"), "\(attached.stdout)\(attached.stderr)")
        #expect(try set.status()["state"].text == (isKernel ? "kernel" : "point"))
        #expect(try shimctl(["detach", set.image.name]).ending == .exited(0))
        let alone = try shimctl(["attach", set.image.path, "--name", set.image.name, "--no-kernel-mirror"])
        #expect(alone.ending == .exited(0) && alone.stderr == "" && !alone.stdout.contains("kernel"), "\(alone.stderr)")
        try set.mountAgain()
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("a mirror is not attached without --promote; once promoted, the old primary copies nothing over it")
    func promotedForGood() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        let refused = try shimctl(["attach", set.mirror])
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("--promote"), "\(refused.stderr)")
        let name = set.image.name + "-m"
        #expect(try shimctl(["attach", set.mirror, "--promote", "--stale", "--name", name]).ending == .exited(0))
        #expect(try set.sync().ending == .exited(1))
        #expect(try shimctl(["detach", name]).ending == .exited(0))
        let late = try set.sync()
        #expect(late.ending == .exited(1))
        #expect(late.stderr.contains("promoted"), "\(late.stderr)")
        // And without --promote from then on.
        #expect(try shimctl(["attach", set.mirror, "--name", name]).ending == .exited(0))
        #expect(try shimctl(["detach", name]).ending == .exited(0))
    }

    @Test("remove lets both stand alone; create --mirror makes both at once")
    func removes() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.image.inspect()["superblock"]["set"]["role"].text == "primary")
        #expect(try shimctl(["mirror", "remove", set.image.name]).ending == .exited(0))
        #expect(try set.image.inspect()["superblock"]["version"].number == 1)
        #expect(try set.sync().stderr.contains("has no mirror"))
        let made = try shimctl([
            "create", "\(set.image.directory)/new.img", "--size", "64M", "--mirror", "\(set.image.directory)/other.img",
        ])
        #expect(made.ending == .exited(0), "\(made.stderr)")
        let run = try shimctl(["mirror", "sync", "\(set.image.directory)/new.img"])
        #expect(run.ending == .exited(0), "\(run.stderr)")
    }
}

@Suite("shimctl mirror: what is compared whatever is known", .serialized) struct MirrorScrubTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    /// Passes beside which `work` runs in a shell, with the mount point as its first argument.
    private func passes(_ set: MirroredImage, _ work: String) throws -> [DeviceJSON] {
        let output = "\(set.image.directory)/passes"
        let script = """
            "$0" mirror run "$1" --every 0.2 --full-every 0.4 --full-rate 2G --freeze --passes 6 --json \\
                > "$2" 2> /dev/null &
            set -- "$3"
            \(work)
            wait
            """
        _ = try spawn(
            "/bin/sh", ["-c", script, Shim.shimctl, set.image.name, output, set.mount], timeout: .seconds(60))
        return try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map {
            DeviceJSON(value: try JSONSerialization.jsonObject(with: Data($0.utf8)))
        }
    }

    @Test("nothing is missed by the passes while files are written, moved, cut, punched, linked and removed")
    func nothingIsMissed() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 8 << 20)
        let found = try passes(
            set,
            """
            cd "$1"; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
                mkdir -p d$i; head -c 300000 /dev/urandom > d$i/f; ln d$i/f l$i; mv d$i/f m$i
                truncate -s 5000 l$((i - 3)) 2> /dev/null; rm -f m$((i - 5)); fallocate -p -o 4096 -l 8192 a
                dd if=/dev/urandom of=a bs=4096 count=3 seek=$((i * 50)) conv=notrunc oflag=direct status=none
                sleep 0.1
            done
            """)
        #expect(found.count == 6)
        #expect(found.allSatisfy { $0["missed_pages"].items.isEmpty && $0["suspect_pages"].items.isEmpty })
        #expect(found.contains { ($0["scrubbed_bytes"].number ?? 0) > 0 })
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.promoted().sums == set.sums())
    }

    @Test("what differs without a reason is found, and named")
    func isFound() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 1 << 20)
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let page = try #require(try set.pages(of: "a").first)
        try set.scribble(page: page)
        let found = try passes(set, "true")
        #expect(found.contains { $0["suspect_pages"].items.contains { $0.number == page } })
    }
}
