import Foundation
import TestSupport
import Testing

/// What a hostile reading of November 2026 has found: ways to have old bytes put over newer ones.
@Suite("shimctl mirror: nothing old comes back unasked", .serialized) struct MirrorStaleTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private func shell(_ script: String, _ arguments: String...) throws -> Run {
        try spawn("/bin/sh", ["-c", script, Shim.shimctl] + arguments, timeout: .seconds(90))
    }

    private func written(_ character: String, _ name: String, in set: MirroredImage) throws {
        let script = "head -c 8192 /dev/zero | tr '\\0' $1 | dd of=\"$2\" conv=notrunc,fsync status=none; sleep 0.1"
        _ = try shell(script, character, set.path(name))
    }

    /// The first block of an ext4 directory.
    private func directoryPage(_ name: String, in set: MirroredImage) throws -> UInt64 {
        let find = "debugfs -R \"bmap <$(stat -c %i \"$2\")> 0\" \"$1\" 2> /dev/null | head -n 1"
        let run = try shell(find, set.image.blocks, set.path(name))
        return try #require(UInt64(run.stdout.prefix { $0.isNumber }))
    }

    private func held(_ name: String, in set: MirroredImage) throws -> String {
        _ = try shell("sync -f \"$1\"; echo 3 > /proc/sys/vm/drop_caches", set.mount)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: set.path(name)))
        return String(decoding: bytes.prefix(1), as: UTF8.self)
    }

    @Test(
        "after a crash files may hold what their times do not tell: fdatasync does not write them",
        arguments: ["ext4", "xfs"])
    func crash(fileSystem: String) throws {
        let set = try MirroredImage(fileSystem)
        defer { set.close() }
        try written("o", "f", in: set)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let script = """
            head -c 8192 /dev/zero | tr '\\0' N | dd of="$1/f" conv=notrunc,fdatasync status=none
            xfs_io -x -c shutdown "$1"
            """
        _ = try shell(script, set.mount)
        try set.unmount()
        try set.mountAgain()
        #expect(try held("f", in: set) == "N")
        #expect(try set.verify()["faults"].items.isEmpty)
        _ = try set.repair()
        #expect(try held("f", in: set) == "N")
    }

    @Test("what is written in the second of a pass is not taken for damage, where file times are whole seconds")
    func wholeSeconds() throws {
        let set = try MirroredImage(options: ["-I", "128"])
        defer { set.close() }
        // Both writes and the pass have to lie within one second: rare on a busy host.
        let script = """
            for i in {1..200}; do
                until (($(date +%-N) < 100000000)); do sleep 0.02; done
                begin=$(date +%s)
                printf O > "$2/f"; sync -f "$2"; sleep 0.1
                "$0" mirror sync "$1" --freeze > /dev/null || exit 1
                printf N | dd of="$2/f" conv=notrunc status=none; sync -f "$2"
                if [[ $(stat -c %Z "$2/f") == "$begin" ]]; then echo same; break; fi
            done
            """
        let run = try spawn(
            "/bin/bash", ["-c", script, Shim.shimctl, set.image.name, set.mount], timeout: .seconds(300))
        try #require(run.stdout == "same\n")
        #expect(try set.verify()["faults"].items.isEmpty)
        _ = try set.repair()
        #expect(try held("f", in: set) == "N")
    }

    @Test("a directory that has grown since the pass is not put back as it was when its page cannot be read")
    func directory() throws {
        let set = try MirroredImage()
        defer { set.close() }
        let make = "mkdir -p \"$1/d\"; for i in $(seq \"$2\"); do : > \"$1/d/f$i\"; done; sync -f \"$1\"; sleep 0.1"
        _ = try shell(make, set.mount, "20")
        for _ in 0..<4 { #expect(try set.sync("--freeze", "--in-place").ending == .exited(0)) }
        let page = try directoryPage("d", in: set)
        _ = try shell(make, set.mount, "40")
        // Whichever of its reads fails.
        for number in 1...14 {
            _ = try spawn(
                "/usr/bin/strace",
                [
                    "-f", "-o", "/dev/null", "-e", "trace=pread64", "-e", "inject=pread64:error=EIO:when=\(number)",
                    Shim.shimctl, "mirror", "repair", set.image.name, "--page", "\(page)",
                ], timeout: .seconds(60))
        }
        _ = try shell("echo 3 > /proc/sys/vm/drop_caches")
        #expect(try FileManager.default.contentsOfDirectory(atPath: set.path("d")).count == 40)
        try set.unmount()
        #expect(try spawn("/usr/sbin/e2fsck", ["-f", "-n", set.image.blocks]).ending == .exited(0))
    }

    @Test("the tracer's options are not what somebody else has set", arguments: ["raw", "hex", "bin"])
    func tracer(option: String) throws {
        let root = "/sys/kernel/tracing"
        let script = """
            [ -e "$2/instances" ] || mount -t tracefs tracefs "$2"
            echo "$3" > "$2/trace_options" || exit 77
            "$0" mirror run "$1" --every 0.5 --freeze --full-every 0 --passes 4 --json & run=$!
            sleep 0.8; head -c 8192 /dev/zero | tr '\\0' N > "$4/f"; sync -f "$4"
            wait "$run"; echo "no$3" > "$2/trace_options"
            """
        let set = try MirroredImage()
        defer { set.close() }
        try written("o", "f", in: set)
        let run = try shell(script, set.image.name, root, option, set.mount)
        if run.ending == .exited(77) { try Test.cancel("no tracer here") }
        let sums = try set.sums()
        #expect(try set.promoted().sums == sums, "\(run.stdout)\(run.stderr)")
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("without the tracer a write that is under way while the pass looks is not missed")
    func underWay() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try written("o", "f", in: set)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let script = """
            "$2" "$3" 1.5 & sleep 0.3
            strace -f -o /dev/null -e trace=mkdir -e inject=mkdir:error=EPERM "$0" mirror sync "$1" --freeze \\
                --freeze-limit 20000
            wait
            """
        let run = try shell(script, set.image.name, try Programs.path("late-write"), set.path("f"))
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(try held("f", in: set) == "N")
        #expect(try set.verify()["faults"].items.isEmpty)
        _ = try set.repair()
        #expect(try held("f", in: set) == "N")
    }

    @Test("of two copies of one mirror, kept by turns, the one proves nothing of the other")
    func twins() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try written("o", "f", in: set)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let first = "\(set.image.directory)/first"
        let second = "\(set.image.directory)/second"
        let turn = "mv \"$1\" \"$3\"; mv \"$2\" \"$1\""
        _ = try shell("cp --sparse=always \"$1\" \"$2\"", set.mirror, second)
        #expect(try set.sync("--freeze").ending == .exited(0))
        _ = try shell(turn, set.mirror, second, first)
        try written("N", "f", in: set)
        #expect(try set.sync("--freeze").ending == .exited(0))
        // Both are of epoch 2, and the files' times are of the second one's.
        _ = try shell(turn, set.mirror, first, second)
        _ = try set.repair()
        #expect(try held("f", in: set) == "N")
        #expect(try set.sync("--freeze").ending == .exited(0))
        let sums = try set.sums()
        #expect(try set.promoted().sums == sums)
    }

    @Test("a swap file, which the kernel writes to without a word, is never put back")
    func swap() throws {
        let set = try MirroredImage()
        defer { set.close() }
        let make = "head -c 8M /dev/zero > \"$1\"; chmod 600 \"$1\"; mkswap -q \"$1\"; sync; sleep 0.1; swapon \"$1\""
        guard try shell(make, set.path("swap")).ending == .exited(0) else { try Test.cancel("no swap files here") }
        defer { _ = try? shell("swapoff \"$1\"", set.path("swap")) }
        #expect(try set.sync("--freeze").ending == .exited(0))
        let page = try #require(try set.pages(of: "swap").dropFirst(5).first)
        try set.scribble(page: page)
        #expect(try set.verify()["faults"].items.isEmpty)
        let outcome = try set.repair("--page", "\(page)")["pages"][0]
        #expect(outcome["reason"].text?.contains("swap has changed since the copy") == true)
    }

    @Test("a damaged directory is not copied over the mirror's good one, and repair of what else there is goes on")
    func damagedDirectory() throws {
        let set = try MirroredImage()
        defer { set.close() }
        _ = try shell("mkdir \"$1/d\"; for i in $(seq 20); do : > \"$1/d/f$i\"; done", set.mount)
        try set.write("a", 40_960)
        _ = try shell("sync -f \"$1\"; sleep 0.1", set.mount)
        #expect(try set.sync("--freeze").ending == .exited(0))
        let sums = try set.sums()
        let page = try directoryPage("d", in: set)
        try set.unmount()
        try set.scribble(page: page)
        try set.mountAgain()
        let run = try set.sync("--freeze")
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("the file system is damaged at /d/"), "\(run.stderr)")
        let promoted = try set.promoted()
        #expect(promoted.sums == sums)
        #expect(promoted.fsck.ending == .exited(0))
        #expect(try set.repair("--page", "\(page)")["pages"][0]["outcome"].text == "refused")
        #expect(try set.repair("--page", "\(page)", "--stale")["pages"][0]["outcome"].text == "restored")
        _ = try shell("echo 3 > /proc/sys/vm/drop_caches")
        #expect(try set.sums() == sums)
        #expect(try set.sync("--freeze").ending == .exited(0))
    }

    @Test("a device that is not mounted, and written to meanwhile, has no one moment's state")
    func rawWrites() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 12 << 20)
        try set.unmount()
        let script = """
            "$0" mirror sync "$1" --rate 4M --json & pass=$!
            sleep 1; head -c 4096 /dev/urandom | dd of="$2" bs=4096 seek=60000 conv=notrunc,fsync status=none
            wait "$pass"
            """
        let run = try shell(script, set.image.name, set.image.blocks)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(set.json(run)["is_point"].value as? Bool == false, "\(run.stdout)")
        #expect(set.json(try set.sync("--json"))["is_point"].value as? Bool == true)
    }

    @Test("what another process takes from the tracer is missed, and noticed")
    func takenEvents() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try written("o", "f", in: set)
        let script = """
            "$0" mirror run "$1" --every 0.8 --freeze --full-every 0 --passes 4 --json & run=$!
            sleep 1; head -c 8192 /dev/zero | tr '\\0' N > "$2/f"; sync -f "$2"
            for trace in /sys/kernel/tracing/instances/pmemshim-"$run"-*/trace; do echo > "$trace"; done
            wait "$run"
            """
        let run = try shell(script, set.image.name, set.mount)
        #expect(run.ending == .exited(0), "\(run.stdout)\(run.stderr)")
        let sums = try set.sums()
        #expect(try set.promoted().sums == sums)
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("pages of the mirror that are garbage, and their records too, are named by verify, and mended by a full pass")
    func garbage() throws {
        let set = try MirroredImage()
        defer { set.close() }
        try set.write("a", 40_960)
        _ = try shell("sync; sleep 0.1")
        #expect(try set.sync("--freeze").ending == .exited(0))
        let page = try #require(try set.pages(of: "a").dropFirst(3).first)
        let superblock = try set.image.inspect()["superblock"]
        let data = try #require(superblock["data_offset"].number)
        let records = try #require(superblock["array_offset"].number)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: set.mirror))
        for (place, count) in [(data + page * 4_096, 4_096), (records + page * 64, 64)] {
            try handle.seek(toOffset: place)
            try handle.write(contentsOf: Data(repeating: 0xa5, count: count))
        }
        try handle.close()
        #expect(try set.verify()["faults"].items.compactMap { $0["page"].number } == [page])
        _ = try set.sync("--freeze", "--full")
        #expect(try set.verify()["faults"].items.isEmpty)
    }

    @Test("a loop device over the primary's own image is no mirror, and neither is half a file system one")
    func notElsewhere() throws {
        let set = try MirroredImage()
        defer { set.close() }
        _ = try shimctl(["mirror", "remove", set.image.name])
        let loop = try spawn("/usr/sbin/losetup", ["--find", "--show", set.image.path]).stdout.dropLast()
        defer { _ = try? spawn("/usr/sbin/losetup", ["-d", String(loop)]) }
        let run = try shimctl(["mirror", "add", set.image.name, String(loop), "--force"])
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("itself"), "\(run.stderr)")
    }
}
