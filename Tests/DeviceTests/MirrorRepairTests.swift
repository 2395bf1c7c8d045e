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

    @Test("metadata that has not changed for two epochs is put back while the file system stands still: fsck is clean")
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
        let outcome = try set.repair("--page", "\(page)")["pages"][0]
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

extension DeviceJSON {
    var items: [DeviceJSON] { (value as? [Any] ?? []).map { DeviceJSON(value: $0) } }
}
