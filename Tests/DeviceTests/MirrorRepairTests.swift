import Foundation
import TestSupport
import Testing

@Suite("shimctl mirror: verify and repair", .serialized) struct MirrorRepairTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    /// Files that have been copied long enough ago to be surely unchanged.
    private func copied(_ files: Int, pages: Int) throws -> MirroredImage {
        let set = try MirroredImage()
        for number in 0..<files { try set.write("file \(number)", pages * 4_096) }
        Thread.sleep(forTimeInterval: 0.1)
        let run = try set.sync("--freeze")
        guard run.ending == .exited(0) else { throw SetupError("sync: \(run.stderr)") }
        return set
    }

    @Test("1,000 damaged pages of unchanged files are named by verify, and put back, every byte right")
    func repairs() throws {
        let set = try copied(8, pages: 512)
        defer { set.close() }
        let sums = try set.sums()
        let all = try (0..<8).flatMap { try set.pages(of: "file \($0)") }
        let damaged = Set(all.shuffled().prefix(1_000))
        #expect(damaged.count == 1_000)
        let offset = try #require(try set.image.inspect()["superblock"]["data_offset"].number)
        for page in damaged {
            try set.image.write(
                (0..<32).map { _ in UInt8.random(in: 0...255) }, at: offset + page * 4_096 + .random(in: 0..<4_064))
        }
        _ = try spawn("/bin/sh", ["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"])
        #expect(try set.sums() != sums)

        let faults = try set.verify()["faults"].items
        #expect(Set(faults.compactMap { $0["page"].number }) == damaged)
        #expect(faults.allSatisfy { $0["fault"].text == "primary" })
        #expect(faults.allSatisfy { $0["file"].text?.hasPrefix(set.path("file ")) == true })

        let outcomes = try set.repair()["pages"].items
        #expect(outcomes.count == 1_000)
        #expect(outcomes.allSatisfy { $0["outcome"].text == "restored" })
        #expect(try set.sums() == sums)
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("of files that have changed since the copy nothing is put back unasked, and each is named")
    func refuses() throws {
        let set = try copied(2, pages: 64)
        defer { set.close() }
        let old = try Data(contentsOf: URL(fileURLWithPath: set.path("file 0")))
        // One other page of it is written to: the copy of all others is still what they have to be, but who knows.
        try set.write("file 0", 4_096, at: 0)
        _ = try spawn("/usr/bin/sync", [])
        let page = try #require(try set.pages(of: "file 0").dropFirst(9).first)
        try set.scribble(page: page)
        let damaged = try Data(contentsOf: URL(fileURLWithPath: set.path("file 0")))
        let outcome = try set.repair("--page", "\(page)")["pages"][0]
        #expect(outcome["outcome"].text == "refused")
        #expect(outcome["reason"].text?.contains("file 0 has changed since the copy") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: set.path("file 0"))) == damaged)
        // Asked, it is what it was.
        #expect(try set.repair("--page", "\(page)", "--stale")["pages"][0]["outcome"].text == "restored")
        let now = try Data(contentsOf: URL(fileURLWithPath: set.path("file 0")))
        #expect(now[9 * 4_096..<10 * 4_096] == old[9 * 4_096..<10 * 4_096])
    }

    @Test("a pass does not copy what has changed by itself: the mirror keeps its page, and says so")
    func suspects() throws {
        let set = try copied(2, pages: 64)
        defer { set.close() }
        let sums = try set.sums()
        let page = try #require(try set.pages(of: "file 1").dropFirst(5).first)
        try set.scribble(page: page)
        let run = try set.sync("--freeze", "--full", "--json")
        #expect(run.ending == .exited(1))
        #expect(set.json(run)["suspect_pages"][0].number == page, "\(run.stdout)")
        #expect(run.stderr.contains("file 1"), "\(run.stderr)")
        #expect(try set.promoted().sums == sums)
        #expect(try set.repair()["pages"][0]["outcome"].text == "restored")
        #expect(try set.sums() == sums)
    }

    @Test("a damaged page of the mirror is put right from the primary")
    func otherWayRound() throws {
        let set = try copied(1, pages: 64)
        defer { set.close() }
        let page = try #require(try set.pages(of: "file 0").first)
        let offset = try #require(try set.image.inspect()["superblock"]["data_offset"].number)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: set.mirror))
        try handle.seek(toOffset: offset + page * 4_096)
        try handle.write(contentsOf: Data(repeating: 7, count: 100))
        try handle.close()
        let fault = try set.verify()["faults"][0]
        #expect(fault["page"].number == page)
        #expect(fault["fault"].text == "mirror")
        #expect(try set.repair()["pages"][0]["outcome"].text == "mirrored")
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("metadata that can be read is put back only where that is asked for; fsck is clean then")
    func metadata() throws {
        let set = try copied(2, pages: 16)
        defer { set.close() }
        for _ in 0..<3 { #expect(try set.sync("--freeze").ending == .exited(0)) }
        // The last group's inode table: nobody has written to it since mkfs.
        let dump = try spawn("/usr/sbin/dumpe2fs", [set.image.blocks])
        let line = dump.lines.last { $0.contains("Inode table at") }
        let page = try #require(
            line?.split(separator: " ").drop { $0 != "at" }.dropFirst().first.flatMap {
                UInt64($0.prefix { $0.isNumber })
            })
        let block = dump.lines.first { $0.hasPrefix("Block size:") }?.split(separator: " ").last
        try #require(block == "4096")
        try set.scribble(page: page)
        // It can be read: nobody can tell whether it is wrong, or newer than its copy.
        #expect(try set.repair("--page", "\(page)")["pages"][0]["outcome"].text == "refused")
        let outcome = try set.repair("--page", "\(page)", "--stale")["pages"][0]
        #expect(outcome["outcome"].text == "restored", "\(outcome["reason"].text ?? "")")
        try set.unmount()
        #expect(try spawn("/usr/sbin/e2fsck", ["-f", "-n", set.image.blocks]).ending == .exited(0))
    }

    @Test("where nothing is mounted nobody can tell what has changed since: refused, and named")
    func unmounted() throws {
        let set = try copied(1, pages: 16)
        defer { set.close() }
        let page = try #require(try set.pages(of: "file 0").first)
        try set.unmount()
        try set.scribble(page: page)
        let outcome = try set.repair("--page", "\(page)")["pages"][0]
        #expect(outcome["outcome"].text == "refused")
        #expect(outcome["reason"].text?.contains("mount it first") == true)
    }
}

@Suite("shimctl mirror: what proves nothing", .serialized) struct MirrorProofTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func strace(
        _ set: MirroredImage, _ inject: String, _ verb: String, _ options: String..., path: String? = nil
    )
        throws -> Run
    {
        let call = String(inject.prefix { $0 != ":" })
        return try spawn(
            "/usr/bin/strace",
            ["-f", "-o", "/dev/null"] + (path.map { ["-P", $0] } ?? [])
                + ["-e", "trace=\(call)", "-e", "inject=\(inject)", Shim.shimctl, "mirror", verb, set.image.name]
                + options,
            timeout: .seconds(60))
    }

    @Test("pages that could not be read are not called copied, and repair puts nothing old in their place")
    func unreadable() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 40_960)
        for _ in 0..<2 {
            #expect(try set.sync("--freeze").ending == .exited(0))
            Thread.sleep(forTimeInterval: 0.1)
        }
        let older = try set.sums()
        try set.write("a", 40_960)
        _ = try spawn("/usr/bin/sync", [])
        Thread.sleep(forTimeInterval: 0.1)
        let newer = try set.sums()
        let blocks = try spawn("/usr/bin/readlink", ["-f", set.image.blocks]).stdout
        let run = try strace(set, "pread64:error=EIO", "sync", "--freeze", path: String(blocks.dropLast()))
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("cannot be read"), "\(run.stderr)")
        #expect(try set.promoted().sums == older)
        _ = try set.repair()
        #expect(try set.sums() == newer)
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.promoted().sums == newer)
    }

    @Test(
        "a file whose blocks are moved without a change of its times is copied, and not repaired",
        arguments: ["ext4", "xfs"])
    func moved(fileSystem: String) throws {
        let set = try MirroredImage(fileSystem)
        defer { set.close() }
        // In pieces, with those of other files between them.
        for number in 0..<20 {
            try set.write("a", 40_960, at: UInt64(number) * 40_960)
            _ = try spawn("/usr/bin/sync", ["-f", set.mount])
            try set.write("b\(number)", 40_960)
            _ = try spawn("/usr/bin/sync", ["-f", set.mount])
        }
        for number in 0..<20 { unlink(set.path("b\(number)")) }
        #expect(try set.sync("--freeze").ending == .exited(0))
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let sums = try set.sums()
        let before = try set.pages(of: "a")
        if fileSystem == "xfs" {
            _ = try spawn("/usr/sbin/xfs_fsr", [set.path("a")])
        } else {
            _ = try spawn("/usr/sbin/e4defrag", [set.path("a")])
        }
        #expect(try set.pages(of: "a") != before)
        _ = try set.repair()
        #expect(try set.sums() == sums)
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.promoted(fileSystem).sums == sums)
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("what is changed while the pass writes back what is dirty is copied by the next one")
    func duringWriteback() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 400_000)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let script = """
            strace -f -o /dev/null -e trace=syncfs -e inject=syncfs:delay_exit=1000000 \\
                "$0" mirror sync "$1" > /dev/null &
            sleep 0.6; head -c 400000 /dev/urandom > "$2"; wait
            """
        _ = try spawn(
            "/bin/sh", ["-c", script, Shim.shimctl, set.image.name, set.path("a")], timeout: .seconds(60))
        let sums = try set.sums()
        _ = try spawn("/usr/bin/sync", [])
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try set.promoted().sums == sums)
        _ = try set.repair()
        #expect(try set.sums() == sums)
    }

    @Test("a mount on top of the file system is not taken for it")
    func mountedOver() throws {
        let set = try MirroredImage()
        defer { set.close() }
        #expect(try set.sync("--freeze").ending == .exited(0))
        #expect(try spawn("/usr/bin/mount", ["-t", "tmpfs", "none", set.mount]).ending == .exited(0))
        defer { _ = try? spawn("/usr/bin/umount", [set.mount]) }
        let run = try set.sync("--freeze")
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("mounted on top"), "\(run.stderr)")
    }

    @Test("repair that is slower than the freeze may last puts nothing over what was written meanwhile")
    func lateRepair() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 400 * 4_096)
        Thread.sleep(forTimeInterval: 0.1)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let offset = try #require(try set.image.inspect()["superblock"]["data_offset"].number)
        for page in try set.pages(of: "a") { try set.image.write([1, 2, 3], at: offset + page * 4_096) }
        let script = """
            strace -f -o /dev/null -e trace=fsync -e inject=fsync:delay_enter=5000 \\
                "$0" mirror repair "$1" --freeze-limit 300 > "$3" &
            sleep 1; head -c 1638400 /dev/urandom > "$3.new"
            dd if="$3.new" of="$2" bs=4096 conv=notrunc,fsync status=none; wait
            """
        let output = "\(set.image.directory)/repaired"
        _ = try spawn(
            "/bin/sh", ["-c", script, Shim.shimctl, set.image.name, set.path("a"), output], timeout: .seconds(60))
        _ = try spawn("/bin/sh", ["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"])
        #expect(try String(contentsOfFile: output, encoding: .utf8).contains("--freeze-limit is too short"))
        #expect(
            try Data(contentsOf: URL(fileURLWithPath: set.path("a")))
                == Data(contentsOf: URL(fileURLWithPath: output + ".new")))
    }

    @Test("a file system that takes long to be frozen does not stay so when the copier is killed")
    func killedWhileFrozen() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 30 << 20)
        // Killed before it thaws: each call of ioctl in turn.
        for number in 1...40 {
            let run = try strace(set, "ioctl:signal=SIGKILL:when=\(number)", "sync", "--freeze", "--freeze-limit", "1")
            let alive = try spawn(
                "/usr/bin/timeout", ["5", "/bin/sh", "-c", "date > \(set.path("alive"))"], timeout: .seconds(30))
            #expect(alive.ending == .exited(0), "frozen after call \(number)")
            if run.ending != .signalled(SIGKILL), run.ending != .exited(137) { break }
        }
    }
}

extension DeviceJSON {
    var items: [DeviceJSON] { (value as? [Any] ?? []).map { DeviceJSON(value: $0) } }
}
