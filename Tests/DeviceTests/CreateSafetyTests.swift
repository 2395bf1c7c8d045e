import Foundation
import TestSupport
import Testing

@Suite("shimctl create and --recreate overwrite nothing unasked") struct CreateSafetyTests {
    @Test("files that hold something are refused, named, and stay as they are", arguments: Occupant.allCases)
    func occupied(occupant: Occupant) throws {
        let image = try DeviceImage()
        defer { image.close() }
        try occupant.make(at: image.path)
        let before = try fingerprint(image.path)
        var attempts: [[String]] = [[], ["--size", "100M"], ["--size", "6M", "--page-size", "64K"], ["--recreate"]]
        for pageSize in ["4K", "16K", "64K"] {
            attempts.append(["--recreate", "--size", "8M", "--page-size", pageSize])
        }
        for options in attempts {
            let run = try shimctl(["create", image.path] + options)
            #expect(run.ending == .exited(1), "\(options): \(run.stdout)")
            #expect(run.stderr.hasPrefix("shimctl create: "), "\(run.stderr)")
            #expect(run.stderr.contains("--force") || options == ["--recreate"], "\(run.stderr)")
            if options.isEmpty {
                #expect(run.stderr.contains("holds") && run.stderr.contains(occupant.name), "\(run.stderr)")
            }
            #expect(try fingerprint(image.path) == before, "\(options)")
        }
        // Asked for, it is done.
        #expect(try image.create("--force", "--size", "64M").ending == .exited(0))
        #expect(try image.inspect()["copies_agree"].text == "identical")
    }

    @Test("files smaller than a device are looked at before they are extended")
    func small() throws {
        let image = try DeviceImage()
        defer { image.close() }
        try Data("precious".utf8).write(to: URL(filePath: image.path))
        let before = try fingerprint(image.path)
        #expect(try image.create("--size", "64M").stderr.contains("holds ASCII text"))
        #expect(try image.create().ending == .exited(1))
        #expect(try fingerprint(image.path) == before)
    }

    @Test("empty files, sparse ones and ones full of zeros are free")
    func free() throws {
        let image = try DeviceImage()
        defer { image.close() }
        for (bytes, hole) in [(0, 0), (0, 64 << 20), (16 << 20, 0)] {
            try Data(count: bytes).write(to: URL(filePath: image.path))
            if hole > 0 { #expect(truncate(image.path, hole) == 0) }
            if bytes + hole == 0 {
                #expect(try image.create().stderr.contains("has 0 B; 6.00 MiB is the least"))
            }
            let run = try bytes + hole == 0 ? image.create("--size", "64M") : image.create()
            #expect(run.ending == .exited(0), "\(run.stderr)")
            #expect(try image.inspect()["copies_agree"].text == "identical")
        }
    }

    @Test("a file that another program has open for writing is not taken, empty as it is")
    func open() throws {
        let image = try DeviceImage()
        defer { image.close() }
        try require("/usr/bin/truncate", ["-s", "64M", image.path])
        let writer = try FileHandle(forUpdating: URL(filePath: image.path))
        for options in [[], ["--force"], ["--recreate", "--size", "64M", "--page-size", "4K"]] {
            let run = try shimctl(["create", image.path] + options)
            #expect(run.ending == .exited(1))
            #expect(run.stderr.contains("is open in another program"), "\(run.stderr)")
        }
        #expect(try image.bytes(at: 0, count: 4_096) == Data(count: 4_096))
        try writer.close()
        #expect(try image.create().ending == .exited(0))
    }

    @Test("on a full file system nothing is lost, and nothing is left behind; where room may run out create says so")
    func full() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 20)
        defer { mount.close() }
        if !mount.isWholeFileSystem { try Test.cancel("a tmpfs of its own needs root") }
        let sparse = mount.path("sparse.img")
        try require("/usr/bin/truncate", ["-s", "64M", sparse])
        let warned = try shimctl(["create", mount.path("roomy.img"), "--size", "64M"])
        #expect(warned.ending == .exited(0))
        #expect(warned.stderr.contains("less than it may need"), "\(warned.stderr)")
        let database = mount.path("a.db")
        try require("/usr/bin/sqlite3", [database, "create table t(x); insert into t values (randomblob(7000000));"])
        _ = try spawn("/usr/bin/dd", ["if=/dev/zero", "of=\(mount.path("filler"))", "bs=4096", "status=none"])
        let before = try [sparse, database].map(fingerprint)
        let run = try shimctl(["create", sparse])
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("No space left"), "\(run.stderr)")
        #expect(try shimctl(["create", sparse, "--size", "80M"]).ending == .exited(1))
        #expect(try shimctl(["create", database]).stderr.contains("SQLite"))
        #expect(try [sparse, database].map(fingerprint) == before)
        let new = try shimctl(["create", mount.path("new.img"), "--size", "64M"])
        #expect(new.ending == .exited(1))
        #expect(!FileManager.default.fileExists(atPath: mount.path("new.img")))
    }

    @Test("block devices are looked at as well: a loop device with data that no library knows, at its end or anywhere")
    func blockDevice() throws {
        try DeviceImage.skipUnlessAttachable()
        let image = try DeviceImage()
        defer { image.close() }
        try require("/usr/bin/truncate", ["-s", "64M", image.path])
        let loop = try spawn("/usr/sbin/losetup", ["--find", "--show", image.path])
        let device = String(loop.stdout.prefix { $0 != "\n" })
        defer { _ = try? spawn("/usr/sbin/losetup", ["--detach", device]) }
        for offset in [0, 5 << 20, (64 << 20) - 1] {
            let place = ["of=\(device)", "bs=1", "count=1", "seek=\(offset)", "conv=notrunc,fsync", "status=none"]
            try require("/usr/bin/dd", place, stdin: "x")
            let before = try fingerprint(image.path)
            for options in [[], ["--recreate", "--size", "64M", "--page-size", "4K"]] {
                let run = try shimctl(["create", device] + options)
                #expect(run.ending == .exited(1), "\(offset)")
                #expect(run.stderr.contains("data"), "\(run.stderr)")
            }
            #expect(try fingerprint(image.path) == before)
            try require("/usr/bin/dd", ["if=/dev/zero"] + place)
        }
        let run = try shimctl(["create", device])
        #expect(run.ending == .exited(0), "\(run.stderr)")
    }
}

/// A device of ours whose superblocks are damaged, and what --recreate takes for one.
@Suite("shimctl create --recreate wants evidence") struct RecreateEvidenceTests {
    /// A device of 600 MiB with 16 KiB pages, whose data would begin elsewhere with all others, and ext4 in it. The
    /// file system is made without an attach.
    private func device() throws -> DeviceImage {
        let image = try DeviceImage()
        try image.create("--size", "600M", "--page-size", "16K")
        let superblock = try image.inspect()["superblock"]
        let offset = try #require(superblock["data_offset"].number)
        let size = try #require(superblock["data_size"].number)
        try require(
            "/usr/sbin/mkfs.ext4", ["-q", "-F", "-E", "offset=\(offset)", image.path, "\(size / 1_024)k"])
        return image
    }

    @Test("with both copies, with one and with none it is never made a device with other pages")
    func pages() throws {
        for lost in [[], [0], [1 << 20], [0, 1 << 20]] as [[UInt64]] {
            let image = try device()
            defer { image.close() }
            for offset in lost { try image.destroyCopy(at: offset) }
            let before = try fingerprint(image.path)
            for wrong in ["4K", "64K"] {
                let run = try image.create("--recreate", "--size", "600M", "--page-size", wrong)
                #expect(run.ending == .exited(1), "\(lost), \(wrong)")
                #expect(run.stderr.contains("16384"), "\(run.stderr)")
            }
            #expect(try image.create().ending == .exited(1))
            #expect(try fingerprint(image.path) == before)
            if lost.count == 2 {
                let bare = try image.create("--recreate")
                #expect(bare.ending == .exited(1))
                #expect(bare.stderr.contains("--size and --page-size are needed"), "\(bare.stderr)")
                #expect(bare.stderr.contains("with --page-size 16384 there would be ext4"), "\(bare.stderr)")
                #expect(try fingerprint(image.path) == before)
            }
            let right =
                try lost.count == 2
                ? image.create("--recreate", "--size", "600M", "--page-size", "16K") : image.create("--recreate")
            #expect(right.ending == .exited(0), "\(right.stderr)")
            #expect(right.stdout.contains("data: ext4"))
            #expect(try image.inspect()["superblock"]["page_size"].number == 16_384)
        }
    }

    @Test("a damaged copy speaks for its own parameters, and against others")
    func damaged() throws {
        let image = try DeviceImage()
        defer { image.close() }
        try image.create("--size", "300M", "--page-size", "64K")
        try image.write([0xee], at: 200)
        try image.write([0xee], at: (1 << 20) + 200)
        // Data that nobody knows.
        try image.write([1, 2, 3], at: 100 << 20)
        let before = try fingerprint(image.path)
        #expect(try image.create("--recreate").stderr.contains("says --size 314572800 --page-size 65536"))
        for options in [["--size", "300M", "--page-size", "4K"], ["--size", "200M", "--page-size", "64K"]] {
            let run = try shimctl(["create", image.path, "--recreate"] + options)
            #expect(run.ending == .exited(1))
            #expect(run.stderr.contains("a damaged copy of the superblock says"), "\(run.stderr)")
        }
        #expect(try fingerprint(image.path) == before)
        #expect(try image.create("--recreate", "--size", "300M", "--page-size", "64K").ending == .exited(0))
    }

    @Test("data that nobody knows is no evidence: only --force takes the parameters as they are given")
    func unknown() throws {
        let image = try DeviceImage()
        defer { image.close() }
        try image.create("--size", "300M", "--page-size", "16K")
        try image.write([1, 2, 3], at: 100 << 20)
        for offset in [0, 1 << 20] as [UInt64] { try image.destroyCopy(at: offset) }
        let before = try image.bytes(at: 4_096, count: 1 << 20 - 4_096)
        let run = try image.create("--recreate", "--size", "300M", "--page-size", "16K")
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("no file system that is known"), "\(run.stderr)")
        #expect(try image.create("--recreate", "--size", "300M", "--page-size", "16K", "--force").ending == .exited(0))
        #expect(try image.bytes(at: 4_096, count: 1 << 20 - 4_096) == before)
    }

    @Test("a copy that a later mkfs has left makes no device of the new file system: neither for create nor for attach")
    func leftCopy() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        let copy = [UInt8](try image.bytes(at: 1 << 20, count: 4_096))
        try require("/usr/sbin/mkfs.ext4", ["-q", "-F", image.path])
        try image.write(copy, at: 1 << 20)
        let before = try fingerprint(image.path)
        let run = try image.create("--recreate")
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("holds ext4, though one copy"), "\(run.stderr)")
        if DeviceImage.attachUnavailability == nil {
            #expect(try image.attach().stderr.contains("holds ext4, though one copy"))
        }
        #expect(try fingerprint(image.path) == before)
    }
}
