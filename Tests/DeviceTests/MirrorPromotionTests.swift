import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: a mirror without its primary", .serialized) struct MirrorPromotionTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    /// A set whose primary is lost, and what its files held.
    private func lost() throws -> (set: MirroredImage, sums: String) {
        let set = try MirroredImage(size: "128M")
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let sums = try set.sums()
        try set.unmount()
        #expect(try set.image.detach().ending == .exited(0))
        return (set, sums)
    }

    /// Bytes of the mirror's image change by themselves.
    private func scribble(_ set: MirroredImage, page: UInt64) throws {
        let inspected = set.json(try shimctl(["inspect", set.mirror, "--json"]))
        let offset = try #require(inspected["superblock"]["data_offset"].number)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: set.mirror))
        try handle.seek(toOffset: offset + page * 4_096 + 1_000)
        try handle.write(contentsOf: Data((0..<64).map { _ in UInt8.random(in: 0...255) }))
        try handle.close()
    }

    @Test("a damaged page of a lone mirror is named by verify; it is promoted only with --stale, which says so")
    func damaged() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let page = try #require(try set.pages(of: "a").dropFirst(7).first)
        try set.unmount()
        #expect(try set.image.detach().ending == .exited(0))
        #expect(try shimctl(["mirror", "verify", set.mirror]).ending == .exited(0))
        try scribble(set, page: page)

        let verified = try shimctl(["mirror", "verify", set.mirror])
        #expect(verified.ending == .exited(1))
        #expect(verified.stdout.contains("page \(page) is damaged on the mirror"), "\(verified.stdout)")
        let faults = set.json(try shimctl(["mirror", "verify", set.mirror, "--json"]))["faults"].items
        #expect(faults.map { $0["page"].number } == [page] && faults[0]["fault"].text == "mirror")

        let name = set.image.name + "-m"
        let refused = try shimctl(["attach", set.mirror, "--promote", "--name", name])
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("1 page of the mirror is not what was copied: \(page)"), "\(refused.stderr)")
        let taken = try shimctl(["attach", set.mirror, "--promote", "--stale", "--name", name])
        #expect(taken.ending == .exited(0) && taken.stderr.contains("not what was copied"), "\(taken.stderr)")
        #expect(try shimctl(["detach", name]).ending == .exited(0))
    }

    @Test("pages of a lone mirror that cannot be read are named as damaged; with --stale it is promoted all the same")
    func unreadable() throws {
        let (set, _) = try lost()
        defer { set.close() }
        // Of a chunk all at once, and then two of its pages.
        func failing(_ arguments: [String]) throws -> Run {
            try spawn(
                "/usr/bin/strace",
                [
                    "-f", "-o", "/dev/null", "-P", set.mirror, "-e", "trace=pread64",
                    "-e", "inject=pread64:error=EIO:when=60..62", Shim.shimctl,
                ] + arguments, timeout: .seconds(60))
        }
        let verified = try failing(["mirror", "verify", set.mirror])
        #expect(verified.ending == .exited(1), "\(verified.stderr)")
        #expect(verified.stdout.contains("is damaged on the mirror"), "\(verified.stdout)\(verified.stderr)")
        let name = set.image.name + "-m"
        let refused = try failing(["attach", set.mirror, "--promote", "--name", name])
        #expect(refused.ending == .exited(1) && refused.stderr.contains("not what was copied"), "\(refused.stderr)")
        let taken = try failing(["attach", set.mirror, "--promote", "--stale", "--name", name])
        #expect(taken.ending == .exited(0) && taken.stderr.contains("not what was copied"), "\(taken.stderr)")
        #expect(try shimctl(["detach", name]).ending == .exited(0))
    }

    @Test("a mirror's image that has lost its data to a hole is damaged, one that was made sparse again is not")
    func hole() throws {
        let (set, sums) = try lost()
        defer { set.close() }
        #expect(try spawn("/usr/bin/fallocate", ["--dig-holes", set.mirror]).ending == .exited(0))
        #expect(try shimctl(["mirror", "verify", set.mirror]).ending == .exited(0))
        #expect(try set.promoted().sums == sums)
        let inspected = set.json(try shimctl(["inspect", set.mirror, "--json"]))
        let offset = try #require(inspected["superblock"]["data_offset"].number)
        let punched = ["--punch-hole", "--offset", "\(offset)", "--length", "4M", set.mirror]
        #expect(try spawn("/usr/bin/fallocate", punched).ending == .exited(0))
        let verified = try shimctl(["mirror", "verify", set.mirror])
        #expect(verified.ending == .exited(1) && verified.stdout.contains("page 1 is damaged"), "\(verified.stdout)")
        #expect(try shimctl(["attach", set.mirror, "--promote"]).ending == .exited(1))
    }

    @Test("a mirror whose log cannot be brought home for want of room keeps it, also with --stale, and has all later")
    func fullDisk() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        try set.write("a", 300_000)
        try set.write("b", 300_000)
        _ = try spawn("/usr/bin/sync", [])
        let sums = try set.sums()
        // The log and the superblock take what is written to them, the data area not always: of one call at a time the
        // first after which the pass fails with its log in use.
        var isInUse = false
        for number in 1...60 where !isInUse {
            try set.write("b", 300_000)
            _ = try spawn(
                "/usr/bin/strace",
                [
                    "-f", "-o", "/dev/null", "-P", set.mirror, "-e", "trace=pwrite64",
                    "-e", "inject=pwrite64:error=ENOSPC:when=\(number)+", Shim.shimctl, "mirror", "sync",
                    set.image.name, "--freeze",
                ], timeout: .seconds(60))
            isInUse = try shimctl(["mirror", "status", set.image.name]).stdout.contains("in the log in part")
        }
        try #require(isInUse, "no pass has left its log in use")
        let newer = try set.sums()
        #expect(newer != sums)
        try set.unmount()
        #expect(try set.image.detach().ending == .exited(0))

        let name = set.image.name + "-m"
        for options in [[], ["--stale"]] {
            let full = try spawn(
                "/usr/bin/strace",
                [
                    "-f", "-o", "/dev/null", "-P", set.mirror, "-e", "trace=pwrite64",
                    "-e", "inject=pwrite64:error=ENOSPC", Shim.shimctl, "attach", set.mirror, "--promote", "--name",
                    name,
                ] + options, timeout: .seconds(60))
            #expect(full.ending == .exited(1) && full.stderr.contains("No space left on device"), "\(full.stderr)")
        }
        #expect(try shimctl(["mirror", "status", set.mirror]).stdout.contains("in the log in part"))
        #expect(try set.promoted().sums == newer)
    }

    @Test("a mirror is not promoted while its primary is attached, a copy of it is; with --stale it is all the same")
    func attached() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let name = set.image.name + "-m"
        let refused = try shimctl(["attach", set.mirror, "--promote", "--name", name])
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("attached as \(set.image.name)"), "\(refused.stderr)")
        #expect(try set.promoted().sums == set.sums())
        // Also where its primary would not find it.
        let place = "\(set.image.directory)/elsewhere.img"
        #expect(rename(set.mirror, place) == 0)
        let moved = try shimctl(["attach", place, "--promote", "--name", name])
        #expect(moved.ending == .exited(1) && moved.stderr.contains("attached as"), "\(moved.stderr)")
        #expect(try shimctl(["attach", place, "--promote", "--stale", "--name", name]).ending == .exited(0))
        try set.unmount()
        #expect(try set.image.detach().ending == .exited(0))
        let back = try set.image.attach()
        #expect(back.ending == .exited(1))
        #expect(back.stderr.contains("is outdated: its mirror, \(place)"), "\(back.stderr)")
        #expect(try shimctl(["detach", name]).ending == .exited(0))
    }

    @Test("an old primary whose mirror was promoted is refused, unless with --stale")
    func outdated() throws {
        let (set, sums) = try lost()
        defer { set.close() }
        let name = set.image.name + "-m"
        #expect(try shimctl(["attach", set.mirror, "--promote", "--name", name]).ending == .exited(0))
        #expect(try shimctl(["detach", name]).ending == .exited(0))
        let refused = try set.image.attach()
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("is outdated: its mirror, \(set.mirror)"), "\(refused.stderr)")
        #expect(try shimctl(["attach", set.image.path, "--stale", "--name", set.image.name]).ending == .exited(0))
        try set.mountAgain()
        #expect(try set.sums() == sums)
        try set.unmount()
        #expect(try set.image.detach().ending == .exited(0))
    }

    @Test("a mirror that has moved is found again once a pass was told where it is")
    func moved() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        let place = "\(set.image.directory)/elsewhere.img"
        #expect(rename(set.mirror, place) == 0)
        #expect(try set.sync().ending == .exited(1))
        #expect(try set.sync("--freeze", "--mirror", place).ending == .exited(0))
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.status()["mirror"].text == place)
    }

    @Test("verify waits for a pass that is at work")
    func waits() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 300_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let run = try spawn(
            "/bin/sh",
            [
                "-c",
                "flock \"$1\" sleep 1 & sleep 0.3; flock -n \"$1\" true && exit 9; exec \"$0\" mirror verify \"$2\"",
                Shim.shimctl, set.mirror, set.image.name,
            ], timeout: .seconds(60))
        #expect(run.ending == .exited(0), "\(run.stderr)")
    }

    @Test("a pass in place that is stopped says that no state is left, one with --freeze that the older one is")
    func stopped() throws {
        let set = try MirroredImage(size: "128M")
        defer { set.close() }
        try set.write("a", 30 << 20)
        #expect(try set.sync("--freeze").ending == .exited(0))
        func stop(_ options: String) throws -> Run {
            try spawn(
                "/bin/sh",
                [
                    "-c", "timeout -s TERM 2 \"$0\" mirror sync \"$1\" --full --rate 5M \(options)", Shim.shimctl,
                    set.image.name,
                ], timeout: .seconds(60))
        }
        let frozen = try stop("--freeze")
        #expect(frozen.stderr.contains("the mirror keeps its older state"), "\(frozen.stderr)")
        #expect(try shimctl(["mirror", "status", set.image.name]).ending == .exited(0))
        let plain = try stop("")
        #expect(plain.stderr.contains("the mirror has no state that could be used"), "\(plain.stderr)")
        #expect(try shimctl(["mirror", "status", set.image.name]).ending == .exited(1))
    }

    @Test("pages that unchanged files share with something else, where blocks are smaller, are told not to be judged")
    func shared() throws {
        let set = try MirroredImage(size: "128M", blockSize: 1_024)
        defer { set.close() }
        // Longer than inode and journal have room for, and no multiple of a page.
        for number in 0..<8 { try set.write("file \(number)", 4_096 * 3 + 700) }
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let verified = try set.verify()
        #expect(try #require(verified["pages_shared"].number) > 0)
        #expect(try #require(verified["pages_judged"].number) > 0)
        #expect(try shimctl(["mirror", "verify", set.image.name]).stdout.contains("in part only"))
    }
}
