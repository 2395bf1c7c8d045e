import Foundation
import TestSupport
import Testing

/// An attached image with a mounted file system, and its mirror.
final class MirroredImage {
    let image: DeviceImage
    let mirror: String
    let mount: String
    private var others: [String] = []
    private var isMounted = false

    /// - Parameters:
    ///   - log: `mirror add --log`; nothing: the default.
    ///   - options: more of them for mkfs.
    init(
        _ fileSystem: String = "ext4", size: String = "384M", log: String? = nil, blockSize: Int = 4_096,
        options: [String] = []
    ) throws {
        // In memory: a frozen file system under a busy disk is another test.
        image = try DeviceImage(in: "/dev/shm")
        mirror = "\(image.directory)/mirror.img"
        mount = "\(image.directory)/mount"
        try image.create("--size", size)
        let attached = try image.attach()
        guard attached.ending == .exited(0) else { throw SetupError("attach: \(attached.stderr)") }
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: false)
        try run(
            "/usr/sbin/mkfs.\(fileSystem)",
            ["-q"] + (fileSystem == "ext4" ? ["-b", "\(blockSize)"] : []) + options + [image.blocks])
        try mountAgain()
        let added = try shimctl(
            ["mirror", "add", image.name, mirror] + (log.map { ["--log", $0] } ?? []))
        guard added.ending == .exited(0) else { throw SetupError("mirror add: \(added.stderr)") }
    }

    deinit { close() }

    func close() {
        _ = try? unmount()
        for name in others { _ = try? shimctl(["detach", name]) }
        others = []
        image.close()
    }

    func mountAgain() throws {
        try run("/usr/bin/mount", [image.blocks, mount])
        isMounted = true
    }

    func unmount() throws {
        if isMounted { try run("/usr/bin/umount", [mount]) }
        isMounted = false
    }

    func path(_ name: String) -> String { "\(mount)/\(name)" }

    /// Random bytes, another time each; `count` of them.
    func write(_ name: String, _ count: Int, at offset: UInt64 = 0) throws {
        if !FileManager.default.fileExists(atPath: path(name)) {
            _ = FileManager.default.createFile(atPath: path(name), contents: nil)
        }
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path(name)))
        defer { try? handle.close() }
        try handle.seek(toOffset: offset)
        var generator = SystemRandomNumberGenerator()
        var bytes = Data(capacity: count)
        while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) } }
        try handle.write(contentsOf: bytes.prefix(count))
    }

    @discardableResult
    func sync(_ options: String...) throws -> Run { try shimctl(["mirror", "sync", image.name] + options) }

    func status() throws -> DeviceJSON { json(try shimctl(["mirror", "status", image.name, "--json"])) }

    func verify() throws -> DeviceJSON { json(try shimctl(["mirror", "verify", image.name, "--json"])) }

    func repair(_ options: String...) throws -> DeviceJSON {
        json(try shimctl(["mirror", "repair", image.name, "--json"] + options))
    }

    func json(_ run: Run) -> DeviceJSON {
        DeviceJSON(value: try? JSONSerialization.jsonObject(with: Data(run.output)))
    }

    /// What all files hold: names and checksums, in order.
    func sums(_ directory: String? = nil) throws -> String {
        let run = try spawn(
            "/bin/sh",
            ["-c", "cd \"$0\" && find . -type f | LC_ALL=C sort | xargs -d '\\n' -r sha1sum", directory ?? mount],
            timeout: .seconds(120))
        return run.stdout
    }

    /// A copy of the mirror as it is now takes the primary's place: fsck, and what all files hold.
    func promoted(_ fileSystem: String = "ext4") throws -> (attach: Run, fsck: Run, sums: String) {
        let number = others.count
        let copy = "\(image.directory)/copy\(number).img"
        try run("/usr/bin/cp", ["--sparse=always", mirror, copy])
        let name = "\(image.name)-c\(number)"
        let attach = try shimctl(["attach", copy, "--name", name, "--promote"])
        guard attach.ending == .exited(0) else {
            unlink(copy)
            return (attach, attach, "")
        }
        others.append(name)
        let blocks = "/dev/pmemshim/\(name)"
        let point = "\(image.directory)/copy\(number)"
        try FileManager.default.createDirectory(atPath: point, withIntermediateDirectories: false)
        if fileSystem == "xfs" {
            // A frozen xfs has a log to be replayed, as after a power cut: xfs_repair does not do that.
            try run("/usr/bin/mount", ["-o", "nouuid", blocks, point])
            try run("/usr/bin/umount", [point])
        }
        let fsck =
            fileSystem == "xfs"
            ? try spawn("/usr/sbin/xfs_repair", ["-n", blocks], timeout: .seconds(120))
            : try spawn("/usr/sbin/e2fsck", ["-f", "-n", blocks], timeout: .seconds(120))
        let options = fileSystem == "xfs" ? "ro,nouuid" : "ro"
        try run("/usr/bin/mount", ["-o", options, blocks, point])
        let found = try sums(point)
        try run("/usr/bin/umount", [point])
        _ = try shimctl(["detach", name])
        others[number] = ""
        unlink(copy)
        return (attach, fsck, found)
    }

    /// Pages of the device that a file lies in.
    func pages(of name: String) throws -> [UInt64] {
        let run = try spawn("/usr/sbin/filefrag", ["-v", "-b4096", path(name)])
        return run.lines.flatMap { line -> [UInt64] in
            let words = line.split(whereSeparator: { " .:".contains($0) }).compactMap { UInt64($0) }
            guard line.contains(".."), words.count >= 5, words[3] <= words[4] else { return [] }
            return Array(words[3]...words[4])
        }
    }

    /// Blocks of ext4's journal, in their order.
    func journal() throws -> [UInt64] {
        let run = try spawn("/usr/sbin/debugfs", ["-R", "blocks <8>", image.blocks])
        return run.stdout.split(whereSeparator: \.isWhitespace).compactMap { UInt64($0) }
    }

    /// Pages whose bytes are not the same on both sides, whoever they belong to.
    func differentPages() throws -> [UInt64] {
        let inspected = json(try shimctl(["inspect", mirror, "--json"]))
        let offsets = [try image.inspect(), inspected].compactMap { $0["superblock"]["data_offset"].number }
        let sides = try [image.path, mirror].map {
            try Data(contentsOf: URL(fileURLWithPath: $0), options: .alwaysMapped)
        }
        guard offsets.count == 2 else { throw SetupError("no superblock") }
        let count = try #require(try image.inspect()["superblock"]["data_size"].number) / 4_096
        return (0..<count).filter { page in
            let parts = zip(sides, offsets).map { side, offset in
                side[Int(offset + page * 4_096)..<Int(offset + (page + 1) * 4_096)]
            }
            return parts[0] != parts[1]
        }
    }

    /// Bytes of the primary's image change by themselves.
    func scribble(page: UInt64) throws {
        let offset = try #require(try image.inspect()["superblock"]["data_offset"].number)
        try image.write([UInt8](repeating: UInt8.random(in: 1...255), count: 64), at: offset + page * 4_096 + 1_000)
        // What the kernel has read before would hide it.
        try run("/bin/sh", ["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"])
    }

    private func run(_ program: String, _ arguments: [String]) throws {
        let run = try spawn(program, arguments, timeout: .seconds(120))
        guard run.ending == .exited(0) else { throw SetupError("\(program): \(run.ending), \(run.stderr)") }
    }
}
