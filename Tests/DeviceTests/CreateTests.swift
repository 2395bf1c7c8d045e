import Foundation
import PmemDeviceFormat
import PmemShim
import TestSupport
import Testing

@Suite("shimctl create") struct CreateTests {
    /// 100 sizes from 4 MiB to 16 TiB, each a real sparse file where some file system here takes one.
    private static let sizes: [UInt64] = (0..<100).map { step in
        let bits = 22 + Double(step) * 22 / 99
        let size = UInt64(1) << UInt64(bits)
        let scaled = size + UInt64(Double(size) * (bits - bits.rounded(.down)))
        return step == 99 ? 16 << 40 : step % 3 == 0 ? scaled : scaled + UInt64(step) * 4_099
    }

    @Test("100 sizes from 4 MiB to 16 TiB: 98.4 % minus 4 MiB are data, on 2 MiB, in a sparse file of that size")
    func sizes() throws {
        // ext4 with 4 KiB blocks takes a file of 16 TiB less one block; tmpfs takes more.
        let image = try DeviceImage(in: "/dev/shm")
        defer { image.close() }
        for size in Self.sizes {
            defer { try? FileManager.default.removeItem(atPath: image.path) }
            let created = try image.create("--size", "\(size)")
            let least = max(Int64(size / 1_000 * 984) - 4 << 20, 0) / (2 << 20) * (2 << 20)
            guard size >= 6 << 20 else {
                // No room for the superblocks, one array and any data.
                #expect(created.ending == .exited(64))
                #expect(created.stderr.contains("6.00 MiB is the least"))
                #expect(least == 0)
                continue
            }
            try #require(created.ending == .exited(0), "\(size): \(created.stderr)")
            let copies = try [UInt64(0), 1 << 20].map { (offset: UInt64) throws -> Superblock in
                let bytes = try image.bytes(at: offset, count: 4_096)
                return try bytes.withUnsafeBytes { try Superblock(parsing: $0, deviceSize: size) }
            }
            #expect(copies[0] == copies[1])
            let data = copies[0].geometry.dataSize
            let offset = copies[0].geometry.dataOffset
            let attributes = try FileManager.default.attributesOfItem(atPath: image.path)
            #expect((attributes[.size] as? NSNumber)?.uint64Value == size)
            #expect(data >= UInt64(least) && data >= 2 << 20, "\(size)")
            #expect(data % (2 << 20) == 0 && offset % (2 << 20) == 0)
            #expect(offset + data <= size)
            #expect(image.allocated <= 64 << 10, "\(size)")
        }
    }

    @Test("with --allocate all of its room is taken at once, or there is no image")
    func allocate() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 48)
        if !mount.isWholeFileSystem { try Test.cancel("mounting needs root") }
        let path = mount.path("image")
        let made = try shimctl(["create", "--allocate", "--size", "32M", path])
        #expect(made.ending == .exited(0), "\(made.stderr)")
        var found = stat()
        #expect(stat(path, &found) == 0 && found.st_blocks * 512 >= 32 << 20)
        let refused = try shimctl(["create", "--allocate", "--size", "64M", mount.path("other")])
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("No space left"), "\(refused.stderr)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: mount.directory) == ["image"])
    }

    @Test("prints capacity and overhead")
    func summary() throws {
        let image = try DeviceImage()
        defer { image.close() }
        let run = try image.create("--size", "1G")
        #expect(run.stdout.contains("capacity  1006 MiB (98.2 %), from byte 18,874,368 on"))
        #expect(run.stdout.contains("overhead  18.0 MiB, of it page arrays 16.0 MiB in 8 sections"))
    }

    @Test("refuses a device that holds a file system, a partition table or a superblock, unless forced")
    func refused() throws {
        let image = try DeviceImage()
        defer { image.close() }
        let holders = [
            ("holds ext4", ["/usr/sbin/mkfs.ext4", "-q", "-F", image.path]),
            ("holds xfs", ["/usr/sbin/mkfs.xfs", "-q", image.path]), ("holds a dos partition table", []),
        ]
        for (reason, command) in holders {
            try? FileManager.default.removeItem(atPath: image.path)
            try require("/usr/bin/truncate", ["-s", "400M", image.path])
            if let program = command.first {
                try require(program, Array(command.dropFirst()))
            } else {
                // One Linux partition of 64 MiB from sector 2,048 on, and the signature.
                try image.write([0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 2, 0], at: 446)
                try image.write([0x55, 0xaa], at: 510)
            }
            let before = try image.bytes(at: 0, count: 4 << 20)
            let run = try image.create()
            #expect(run.ending == .exited(1))
            #expect(run.stderr.contains(reason), "\(run.stderr)")
            let isSame = try image.bytes(at: 0, count: 4 << 20) == before
            #expect(isSame)
            #expect(try image.create("--force").ending == .exited(0))
            // Nobody finds the old content any more.
            let found = try spawn("/usr/sbin/blkid", ["-p", image.path])
            #expect(found.stdout == "", "\(found.stdout)")
        }
        let again = try image.create()
        #expect(again.ending == .exited(1))
        #expect(again.stderr.contains("is a device already"))
        try image.destroyCopy(at: 0)
        #expect(try image.create().stderr.contains("is a device already"))
        // The magic number is there, but the rest is wrong: somebody's data may be behind it.
        try image.write([0xff], at: (1 << 20) + 40)
        let damaged = try image.create()
        #expect(damaged.ending == .exited(1))
        #expect(damaged.stderr.contains("damaged superblock (crc32c"), "\(damaged.stderr)")
    }

    @Test("does not leave a file behind that it could not make a device of")
    func nothingLeft() throws {
        let image = try DeviceImage()
        defer { image.close() }
        #expect(try image.create().stderr.contains("is made with --size"))
        #expect(try image.create("--size", "8191P").ending == .exited(1))
        #expect(try image.create("--size", "9000P").ending == .exited(64))
        #expect(try image.create("--size", "1G", "--page-size", "8K").ending == .exited(64))
        #expect(!FileManager.default.fileExists(atPath: image.path))
        for special in ["/dev/null", image.directory] {
            let run = try shimctl(["create", special, "--size", "1G", "--force"])
            #expect(run.ending == .exited(1))
            #expect(run.stderr.contains("neither a file nor a block device"))
        }
    }
}

@Suite("shimctl create --recreate") struct RecreateTests {
    private static let data = (0..<1 << 16).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

    @Test("puts one lost copy back from the other, byte for byte", arguments: [0, 1 << 20] as [UInt64])
    func oneLost(offset: UInt64) throws {
        let image = try DeviceImage()
        defer { image.close() }
        try image.create("--size", "40M", "--page-size", "64K")
        let before = try image.bytes(at: 0, count: 40 << 20)
        try image.destroyCopy(at: offset)
        let state = try image.inspect()
        #expect(state["copies_agree"].text == "one_broken")
        #expect(state["copies"][offset == 0 ? 0 : 1]["field"].text == "magic")
        #expect(try image.create("--recreate").ending == .exited(0))
        let isSame = try image.bytes(at: 0, count: 40 << 20) == before
        #expect(isSame)
    }

    @Test("puts both back from the options, and touches nothing else")
    func bothLost() throws {
        let image = try DeviceImage()
        defer { image.close() }
        let uuid = "12345678-9abc-4def-8123-456789abcdef"
        try image.create("--size", "40M", "--page-size", "16K", "--uuid", uuid)
        let first = try image.inspect()["superblock"]
        let offset = try #require(first["data_offset"].number)
        let size = try #require(first["data_size"].number)
        // Evidence that the parameters are right.
        try require("/usr/sbin/mkfs.ext4", ["-q", "-F", "-E", "offset=\(offset)", image.path, "\(size / 1_024)k"])
        try image.write(Self.data, at: 2 << 20)
        try image.destroyCopy(at: 0)
        try image.destroyCopy(at: 1 << 20)
        let before = try image.bytes(at: 0, count: 40 << 20)

        let broken = try shimctl(["inspect", image.path])
        #expect(broken.ending == .exited(1))
        #expect(broken.stderr.contains("neither copy of the superblock has the magic number"))
        let run = try image.create("--recreate", "--size", "40M", "--page-size", "16K", "--uuid", uuid)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let after = try image.bytes(at: 0, count: 40 << 20)
        for range in [4_096..<1 << 20, (1 << 20) + 4_096..<40 << 20] {
            let isSame = after[range] == before[range]
            #expect(isSame)
        }
        let second = try image.inspect()["superblock"]
        for field in ["page_size", "device_size", "section_count", "data_offset", "data_size"] {
            #expect(second[field].number == first[field].number)
        }
        #expect(second["uuid"].text == uuid)
    }

    @Test("refuses options that contradict the copy that is left, other content, and devices of a later version")
    func refused() throws {
        let image = try DeviceImage(size: "300M")
        defer { image.close() }
        let wrong = try image.create("--recreate", "--page-size", "64K")
        #expect(wrong.ending == .exited(1))
        #expect(wrong.stderr.contains("--page-size is 65536, but the superblock says 4096"))

        try image.write([3], at: 8)
        try image.write([3], at: (1 << 20) + 8)
        let later = try image.create("--recreate")
        #expect(later.ending == .exited(1))
        #expect(later.stderr.contains("version is 3; this shimctl knows 2 at the most"), "\(later.stderr)")

        try? FileManager.default.removeItem(atPath: image.path)
        #expect(try spawn("/usr/bin/truncate", ["-s", "300M", image.path]).ending == .exited(0))
        #expect(try spawn("/usr/sbin/mkfs.ext4", ["-q", "-F", image.path]).ending == .exited(0))
        let foreign = try image.create("--recreate")
        #expect(foreign.ending == .exited(1))
        #expect(foreign.stderr.contains("holds ext4 and no superblock"))
    }
}
