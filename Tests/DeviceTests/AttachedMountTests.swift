import CShimSys
import Foundation
import TestSupport
import Testing

@testable import PmemShim

/// Mounts of an attached device are served without being named; mounts that only look like one are not.
@Suite("Mounts of attached devices", .serialized) struct AttachedMountTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    /// A device with a file system, mounted.
    private func mounted(_ system: String, _ body: (DeviceImage, String) throws -> Void) throws {
        let image = try DeviceImage(in: "/dev/shm")
        defer { image.close() }
        try image.create("--size", "300M")
        try #require(try image.attach().ending == .exited(0))
        let options = system == "btrfs" ? ["-q", "-f"] : ["-q", "-F"]
        #expect(try spawn("/usr/sbin/mkfs.\(system)", options + [image.blocks]).ending == .exited(0))
        let point = "\(image.directory)/mount"
        try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: false)
        try #require(try spawn("/usr/bin/mount", ["-t", system, image.blocks, point]).ending == .exited(0))
        defer { _ = try? spawn("/usr/bin/umount", ["--lazy", point]) }
        try body(image, point)
    }

    /// Calls served of a program that reads 4 MiB on the mount, which nobody names to it.
    private func served(on point: String, mounts: [String] = []) throws -> Int {
        let file = "\(point)/data"
        try Data((0..<4 << 20).map { UInt8(truncatingIfNeeded: $0 >> 9) }).write(to: URL(fileURLWithPath: file))
        #expect(try spawn("/usr/bin/sync", [file]).ending == .exited(0))
        let native = try spawn("/usr/bin/sha256sum", [file])
        // sha256sum reads through stdio inside libc; dd calls read itself.
        let command = ["if=\(file)", "of=\(point)/copy", "bs=64k", "conv=fsync", "status=none"]
        let run = try TestSupport.run("/usr/bin/dd", command, preload: true, mounts: mounts)
        #expect(run.ending == .exited(0))
        let copy = try spawn("/usr/bin/sha256sum", ["\(point)/copy"])
        #expect(copy.stdout.prefix(64) == native.stdout.prefix(64))
        return run.counts.served("read")
    }

    @Test("are found by their block device, and on btrfs by the mount's source", arguments: ["ext4", "btrfs"])
    func found(system: String) throws {
        try mounted(system) { _, point in
            let calls = try served(on: point)
            #expect(calls > 0)
        }
    }

    @Test("reading 4 KiB of a file on a device of 1 TiB makes one section, one group and its pages ready, and no more")
    func oneGroupIsReady() throws {
        let image = try DeviceImage(size: "1T", attached: true)
        defer { image.close() }
        let options = ["-q", "-F", "-m", "0", "-N", "1000", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]
        #expect(try spawn("/usr/sbin/mkfs.ext4", options + [image.blocks]).ending == .exited(0))
        let point = "\(image.directory)/mount"
        try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: false)
        try #require(try spawn("/usr/bin/mount", ["-t", "ext4", image.blocks, point]).ending == .exited(0))
        defer { _ = try? spawn("/usr/bin/umount", ["--lazy", point]) }
        // The page a file ends in is the kernel's: it has two.
        let file = "\(point)/small"
        try Data(repeating: 7, count: 8_192).write(to: URL(fileURLWithPath: file))
        #expect(try spawn("/usr/bin/sync", [file]).ending == .exited(0))
        #expect(try image.inspect()["layers"]["sections_ready"].number == 0)

        let command = ["if=\(file)", "of=/dev/null", "bs=4096", "count=1", "status=none"]
        let runtime = try ScratchDirectory()
        let run = try TestSupport.run("/usr/bin/dd", command, preload: true, runtimeDirectory: runtime.path)
        #expect(run.ending == .exited(0))
        let layers = try image.inspect()["layers"]
        #expect(layers["sections_ready"].number == 1)
        #expect(layers["groups_ready"].number == 1)
        #expect(layers["pages_ready"].number == 512)
        #expect(layers["pages_owned"].number == 1)
        #expect(layers["reads"].number == 1)

        // The device's arrays say whose page it was.
        var found = stat()
        #expect(stat(file, &found) == 0)
        let heat = try spawn(
            Shim.shimctl, ["stats", "--heat", file, "--json"],
            environment: ProcessInfo.processInfo.environment.merging(["PMEMSHIM_RUNTIME_DIR": runtime.path]) { $1 })
        let document = DeviceJSON(value: try JSONSerialization.jsonObject(with: Data(heat.output)))
        #expect(document["files"][0]["path"].text == file)
        #expect(document["files"][0]["inode"].number == UInt64(found.st_ino))
        #expect(document["files"][0]["attached_device"].text == image.name)
        #expect(document["files"][0]["groups"][0]["reads"].number == 1)
    }

    @Test("a compressed file is the kernel's")
    func compressed() throws {
        try mounted("btrfs") { _, point in
            let folder = "\(point)/compressed"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            try #require(try spawn("/usr/bin/chattr", ["+c", folder]).ending == .exited(0))
            let calls = try served(on: folder)
            #expect(calls == 0)
        }
    }

    @Test("named without an option are served too")
    func named() throws {
        try mounted("ext4") { _, point in
            let calls = try served(on: point, mounts: [point])
            #expect(calls > 0)
        }
    }

    @Test("are not found where the registration could have been written by others, or is of another disk")
    func untrusted() throws {
        try mounted("ext4") { image, point in
            let list = try shimctl(["list", "--json"])
            let devices = try #require(
                try JSONSerialization.jsonObject(with: Data(list.output)) as? [String: Any])["devices"]
            let own = (devices as? [[String: Any]] ?? []).first { $0["name"] as? String == image.name }
            let block = try #require(own?["block_device"] as? String)
            var node = stat()
            try #require(stat(block, &node) == 0)
            let registration = "/run/pmemshim/devices/7:\(node.st_rdev & 0xff)"
            let whole = try Data(contentsOf: URL(fileURLWithPath: registration))

            // Each change is undone before the next.
            try #require(chmod(registration, 0o646) == 0)
            try expect(served: false, on: point, "writable by others")
            try #require(chmod(registration, 0o644) == 0)
            try expect(served: true, on: point, "as it was")
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: registration))
            defer { try? handle.close() }
            for (offset, size, field) in [(72, 8, "sequence"), (52, 4, "major"), (8, 4, "version"), (0, 8, "magic")] {
                var changed = whole
                for index in offset..<offset + size { changed[index] ^= 0x55 }
                try handle.seek(toOffset: 0)
                try handle.write(contentsOf: changed)
                try expect(served: false, on: point, field)
            }
            try handle.truncate(atOffset: 4_000)
            try expect(served: false, on: point, "cut")
            try handle.seek(toOffset: 0)
            try handle.write(contentsOf: whole)
            try expect(served: true, on: point, "as it was")
        }
    }

    private func expect(served expected: Bool, on point: String, _ registration: String) throws {
        let calls = try served(on: point)
        #expect((calls > 0) == expected, "registration: \(registration)")
    }

    @Test("the engine's paths are those of the C header")
    func paths() {
        #expect("\(AttachmentDirectory.path)" == PS_ATTACHMENT_DIRECTORY)
        #expect("\(AttachmentDirectory.parent)" == PS_ATTACHMENT_PARENT)
    }
}
