import Foundation
import TestSupport
import Testing

@testable import PmemShim

@Suite("shimctl attach, detach, list", .serialized) struct AttachTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    @Test("a sparse image of 1 TiB is attached with less than 1 MiB written; one touch makes one group ready")
    func large() throws {
        let image = try DeviceImage()
        defer { image.close() }
        #expect(try image.create("--size", "1T").ending == .exited(0))
        #expect(image.allocated <= 16 << 10)
        let before = try image.inspect()["superblock"]["attach_generation"].number
        let attached = try image.attach()
        try #require(attached.ending == .exited(0), "\(attached.stderr)")
        #expect(image.allocated < 1 << 20)
        let found = try image.inspect()
        #expect(found["superblock"]["attach_generation"].number == before.map { $0 + 1 })
        #expect(found["copies_agree"].text == "identical")
        #expect(found["layers"]["sections_ready"].number == 0)

        // What the engine does for the first read of a file there.
        let pageCount = try #require(found["superblock"]["page_count"].number)
        let generation = try #require(found["superblock"]["attach_generation"].number)
        let page = pageCount - 77
        try withArray(image, pageCount, UInt32(truncatingIfNeeded: generation)) { array in
            array.insert(.allocated, of: page)
            array.setOwner(.init(inode: 12, index: 3), of: page)
            array.addReads(5, to: page)
        }
        let touched = try image.inspect()
        #expect(touched["layers"]["sections_ready"].number == 1)
        #expect(touched["layers"]["groups_ready"].number == 1)
        #expect(touched["layers"]["pages_ready"].number == 512)
        #expect(touched["layers"]["pages_allocated"].number == 1)
        let state = try image.inspect("--page", "\(page)")
        #expect(state["flags"].texts == ["ready", "allocated", "owned"])
        #expect(state["owner_inode"].number == 12)
        #expect(state["reads"].number == 5)
        #expect(try image.inspect("--page", "\(page - 512)")["flags"].texts == [])
        let beyond = try shimctl(["inspect", image.path, "--page", "\(pageCount)"])
        #expect(beyond.ending == .exited(1))

        #expect(try image.detach().ending == .exited(0))
        #expect(image.allocated < 1 << 20)
        // At rest the state is still there, and the next attach clears it without touching it.
        #expect(try image.inspect()["layers"]["sections_ready"].number == 1)
        #expect(try image.attach().ending == .exited(0))
        #expect(try image.inspect()["layers"]["sections_ready"].number == 0)
        #expect(try image.inspect("--page", "\(page)")["flags"].texts == [])
    }

    @Test("the logical block space is the data area, the page arrays a node of their own with their own group")
    func nodes() throws {
        let image = try DeviceImage(size: "300M")
        defer { image.close() }
        let attached = try shimctl(["attach", image.path, "--name", image.name, "--group", "tty"])
        try #require(attached.ending == .exited(0), "\(attached.stderr)")
        let superblock = try image.inspect()["superblock"]
        let size = try spawn("/usr/sbin/blockdev", ["--getsize64", image.blocks])
        #expect(UInt64(size.stdout.dropLast()) == superblock["data_size"].number)
        let offset = try #require(superblock["data_offset"].number)
        let marker = Array("here logical block 0 begins".utf8) + [UInt8](repeating: 1, count: 4_096 - 27)
        let write = try spawn(
            "/usr/bin/dd", ["of=\(image.blocks)", "bs=4096", "conv=fsync", "status=none"], stdin: marker)
        #expect(write.ending == .exited(0))
        #expect(try image.bytes(at: offset, count: 4_096) == Data(marker))

        var node = stat()
        #expect(stat(image.pages, &node) == 0)
        #expect(node.st_mode & 0o777 == 0o660)
        #expect(node.st_gid == getgrnam("tty")?.pointee.gr_gid)
        let arrays = try spawn("/usr/sbin/blockdev", ["--getsize64", image.pages])
        #expect(UInt64(arrays.stdout.dropLast()) == superblock["section_count"].number.map { $0 * 2 << 20 })
        #expect(try shimctl(["detach", image.name]).ending == .exited(0))
        #expect(!FileManager.default.fileExists(atPath: image.pages))
        let left = try spawn("/usr/sbin/losetup", ["--associated", image.path])
        #expect(left.stdout == "")
    }

    @Test("an attached device is neither attached again nor made anew, a mounted one not detached")
    func inUse() throws {
        let image = try DeviceImage(size: "64M", attached: true)
        defer { image.close() }
        #expect(try image.attach().stderr.contains("is attached"))
        for options in [["--force"], ["--recreate"]] {
            let run = try shimctl(["create", image.path] + options)
            #expect(run.ending == .exited(1))
            #expect(run.stderr.contains("is attached"))
        }
        #expect(try spawn("/usr/sbin/mkfs.ext4", ["-q", "-F", image.blocks]).ending == .exited(0))
        let point = "\(image.directory)/mount"
        try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: false)
        #expect(try spawn("/usr/bin/mount", ["-t", "ext4", image.blocks, point]).ending == .exited(0))
        defer { _ = try? spawn("/usr/bin/umount", [point]) }
        let refused = try image.detach()
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("mounted on \(point)"), "\(refused.stderr)")
        let listed = try shimctl(["list"]).lines.first { $0.contains(image.path) }
        #expect(listed?.hasSuffix("attached \(point)") == true, "\(listed ?? "")")
        #expect(try spawn("/usr/bin/umount", [point]).ending == .exited(0))
        #expect(try image.detach().ending == .exited(0))
        let again = try image.detach()
        #expect(again.ending == .exited(1))
        #expect(again.stderr.contains("is not attached"))
    }

    @Test("a copy of the superblock that is lost is found by the other and put back by attach")
    func repair() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        try image.destroyCopy(at: 0)
        let run = try image.attach()
        #expect(run.ending == .exited(0))
        #expect(run.stderr.contains("one copy of the superblock was damaged"))
        #expect(try image.inspect()["copies_agree"].text == "identical")
    }

    @Test("a device that was cut, or of a later version, is refused, and nothing is left behind")
    func refused() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        #expect(truncate(image.path, 63 << 20) == 0)
        let cut = try image.attach()
        #expect(cut.ending == .exited(1))
        #expect(cut.stderr.contains("device_size is 67108864, but the device has only 66060288 bytes"), "\(cut.stderr)")
        #expect(truncate(image.path, 4_000) == 0)
        #expect(try image.attach().stderr.contains("too small to hold a superblock"))
        #expect(truncate(image.path, 64 << 20) == 0)
        #expect(try image.attach().stderr.contains("not a pmemshim device") || image.attach().ending == .exited(1))
        #expect(try spawn("/usr/sbin/losetup", ["--associated", image.path]).stdout == "")
        #expect(!FileManager.default.fileExists(atPath: image.pages))
    }

    @Test("what an attach that was killed has left is cleared by detach; loop devices taken away by hand are noticed")
    func leftovers() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        let offset = try #require(image.inspect()["superblock"]["data_offset"].number)
        #expect(try spawn("/usr/sbin/losetup", ["--find", "--offset", "\(offset)", image.path]).ending == .exited(0))
        #expect(try image.attach().stderr.contains("is in use by /dev/loop"))
        #expect(try image.detach().stdout.contains("interrupted"))
        #expect(try spawn("/usr/sbin/losetup", ["--associated", image.path]).stdout == "")

        try #require(try image.attach().ending == .exited(0))
        // One of the two: the number of the other's would at once be somebody else's, in another test.
        let both = try spawn(
            "/usr/sbin/losetup", ["--noheadings", "--output", "NAME,OFFSET", "--associated", image.path])
        let arrays = try #require(both.lines.first { $0.hasSuffix(" \(2 << 20)") }?.split(separator: " ").first)
        #expect(try spawn("/usr/sbin/losetup", ["--detach", String(arrays)]).ending == .exited(0))
        let listed = try shimctl(["list"]).lines.first { $0.contains(image.path) }
        #expect(listed?.contains(" gone ") == true, "\(listed ?? "")")
        #expect(try image.detach().ending == .exited(0))
        #expect(try !shimctl(["list"]).stdout.contains(image.path))
        #expect(try spawn("/usr/sbin/losetup", ["--associated", image.path]).stdout == "")
    }

    private func withArray(
        _ image: DeviceImage, _ pageCount: UInt64, _ tag: UInt32, _ body: (PageArray) throws -> Void
    ) throws {
        let descriptor = open(image.pages, O_RDWR | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let length = Int(pageCount) * 64
        let mapped = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        let base = try #require(mapped)
        try #require(base != MAP_FAILED)
        defer { munmap(base, length) }
        try body(#require(PageArray(base: base, byteCount: length, pageCount: pageCount, tag: tag)))
    }
}
