import Foundation
import TestSupport
import Testing

/// When a file is looked at and mapped where nobody has said when: by what it costs, and by what the files before it at
/// the same number have gained (Price.swift, of which PriceTests tries the arithmetic).
@Suite("A file is served once its calls have lost what serving it costs")
struct PatienceTests {
    private func served(calls: Int, files: Int, inChildren: Bool = false, first: String = "") throws -> UInt64 {
        let mount = try ScratchMount(.tmpfs)
        let bytes = (0..<256).flatMap { [UInt8](repeating: UInt8($0), count: 4_096) }
        try Data(bytes).write(to: URL(fileURLWithPath: mount.path("file")))
        let run = try run(
            Programs.path("lives"),
            [mount.path("file"), String(calls), String(files)] + (inChildren ? ["children"] : []),
            environment: ["PMEMSHIM_FIRST_AFTER": first], preload: true, mounts: [mount.item], mapAfter: nil)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        return UInt64(run.counts.served("pread"))
    }

    @Test("a file that is read on and on is served after 2,048 calls")
    func once() throws {
        #expect(try served(calls: 2_000, files: 1) == 0)
        let count = try served(calls: 5_000, files: 1)
        #expect(count > 2_850 && count < 2_960)
    }

    @Test("where the first file of a process is to be looked at earlier or later, it is")
    func soonerOrLater() throws {
        #expect(try served(calls: 1_000, files: 1, first: "0") > 600)
        #expect(try served(calls: 6_000, files: 1, first: "4096") > 1_800)
        #expect(try served(calls: 4_000, files: 1, first: "4096") == 0)
    }

    @Test("a file that is read and overwritten by turns is served once it is hot")
    func turns() throws {
        let mount = try ScratchMount(.tmpfs)
        try Data(repeating: 7, count: 5 << 20).write(to: URL(fileURLWithPath: mount.path("file")))
        let run = try run(
            Programs.path("read-files"), ["3000", mount.path("file")], preload: true, mounts: [mount.item],
            mapAfter: nil)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.counts.served("pwrite") > 2_000)
        #expect(run.counts.served("pread") > 2_000)
    }

    @Test("a file that is read once in order is left to the kernel, and is served when that goes on")
    func inOrder() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 64)
        let pages = 4_000
        try Data(repeating: 7, count: pages << 12).write(to: URL(fileURLWithPath: mount.path("file")))
        let script = """
            import os, sys
            size = os.stat(sys.argv[1]).st_size
            for way in sys.argv[3:]:
                fd = os.open(sys.argv[1], os.O_RDONLY)
                for i in range(int(sys.argv[2]) * (size >> 12)):
                    if way == "pread": os.pread(fd, 4096, (i << 12) % size)
                    elif not os.read(fd, 4096): os.lseek(fd, 0, os.SEEK_SET)
                os.close(fd)
            """
        func served(passes: Int, _ ways: String...) throws -> Int {
            let run = try run(
                "/usr/bin/python3", ["-c", script, mount.path("file"), String(passes)] + ways, preload: true,
                mounts: [mount.item], mapAfter: nil)
            #expect(run.ending == .exited(0), "\(run.stderr)")
            return Int(run.counts.served("pread") + run.counts.served("read"))
        }
        #expect(try served(passes: 1, "pread", "read", "pread", "read") == 0)
        #expect(try served(passes: 8, "pread") > 3 * pages)
        #expect(try served(passes: 8, "read") > 3 * pages)
    }

    @Test("a file that gets nothing but writes of 64 bytes is served as others are")
    func short() throws {
        let mount = try ScratchMount(.tmpfs)
        try Data(repeating: 7, count: 1 << 20).write(to: URL(fileURLWithPath: mount.path("file")))
        let script = """
            import os, sys
            fd = os.open(sys.argv[1], os.O_RDWR)
            for i in range(20000): os.pwrite(fd, bytes(int(sys.argv[2])), i * 37 % 256 << 12)
            """
        // 32 bytes are one store on every processor with AVX2.
        let run = try run(
            "/usr/bin/python3", ["-c", script, mount.path("file"), "32"], preload: true, mounts: [mount.item],
            mapAfter: nil)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.counts.served("pwrite") > 10_000)
    }

    @Test("short writes, which the kernel does, leave the reads between them to be served: one in a tick is not")
    func betweenShortWrites() throws {
        let mount = try ScratchMount(.tmpfs)
        try Data(repeating: 7, count: 1 << 20).write(to: URL(fileURLWithPath: mount.path("file")))
        let script = """
            import os, sys
            fd = os.open(sys.argv[1], os.O_RDWR)
            for i in range(30000):
                at = i * 37 % 256 << 12
                os.pwrite(fd, bytes([i % 256]) * 100, at)
                assert os.pread(fd, 512, at)[99] == i % 256
            end = os.stat(fd)
            assert end.st_atime_ns >> 24 >= end.st_mtime_ns - (1 << 24) >> 24
            """
        let run = try run(
            "/usr/bin/python3", ["-c", script, mount.path("file")], preload: true, mounts: [mount.item], mapAfter: nil)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.counts.served("pwrite") == 0)
        #expect(run.counts.served("pread") > 20_000)
    }

    @Test("space that is only preallocated is read from the kernel, and served once it has been written")
    func preallocated() throws {
        func served(_ rounds: Int) throws -> Int {
            let mount = try ScratchMount(.tmpfs)
            let script = """
                import os, sys
                fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
                os.posix_fallocate(fd, 0, 1 << 20)
                for i in range(4000): assert os.pread(fd, 4096, i * 37 % 256 << 12) == bytes(4096)
                for page in range(256): os.pwrite(fd, bytes([page]) * 4096, page << 12)
                for i in range(int(sys.argv[2])):
                    assert os.pread(fd, 4096, i * 37 % 256 << 12) == bytes([i * 37 % 256]) * 4096
                """
            let run = try run(
                "/usr/bin/python3", ["-c", script, mount.path("file"), String(rounds)], preload: true,
                mounts: [mount.item], mapAfter: nil)
            #expect(run.ending == .exited(0), "\(run.stderr)")
            return Int(run.counts.served("pread"))
        }
        #expect(try served(0) == 0)
        #expect(try served(20_000) > 10_000)
    }

    @Test("a file that is resized more than it is read is known after twelve times")
    func resized() throws {
        let mount = try ScratchMount(.tmpfs)
        let script = """
            import os, sys
            fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
            os.pwrite(fd, bytes(1 << 20), 0)
            for i in range(5000): os.pread(fd, 4096, i % 256 << 12)
            for path in sys.argv[2:]:
                other = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                for i in range(1, 101): os.ftruncate(other, i * 4096)
                assert os.fstat(other).st_size == 409600
                os.close(other)
            """
        let run = try run(
            "/usr/bin/python3", ["-c", script, mount.path("file"), mount.path("one"), mount.path("two")],
            preload: true, mounts: [mount.item], mapAfter: nil)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        // Only those of numbers that are known are counted.
        #expect(run.counts.passedOn("kernel", "resize") == 2 * 88, "\(run.counts.calls)")
    }

    @Test("files that are closed after a few calls are never served", arguments: [8, 64, 255])
    func brief(calls: Int) throws {
        #expect(try served(calls: calls, files: 300) == 0)
    }

    @Test("files that are closed after many calls are served nearly from the start, once one has shown it")
    func worthIt() throws {
        let count = try served(calls: 2_000, files: 50)
        #expect(count > 90_000 && count < 99_000)
    }

    @Test("files that do not pay for themselves cease to be served")
    func notWorthIt() throws {
        #expect(try served(calls: 280, files: 300) < 5_000)
    }

    @Test("children that live for some calls are not served, and those that live longer are")
    func children() throws {
        #expect(try served(calls: 256, files: 20, inChildren: true) == 0)
        #expect(try served(calls: 5_000, files: 4, inChildren: true) > 4 * 2_850)
    }
}
