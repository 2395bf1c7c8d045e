import CBlock
import FoundationEssentials
import Glibc

/// The number of a block device.
struct DeviceNumber: Equatable {
    let major: UInt32
    let minor: UInt32

    init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    init(_ number: dev_t) {
        major = cblock_major(number)
        minor = cblock_minor(number)
    }

    /// As sysfs writes it: `7:3`.
    init?(text: String) {
        let parts = text.split(whereSeparator: { $0 == ":" || $0.isWhitespace })
        guard parts.count == 2, let major = UInt32(parts[0]), let minor = UInt32(parts[1]) else { return nil }
        self.init(major: major, minor: minor)
    }

    /// Of the block device of that name.
    init?(path: String) {
        var found = stat()
        guard stat(path, &found) == 0, found.st_mode & S_IFMT == S_IFBLK else { return nil }
        self.init(found.st_rdev)
    }

    var description: String { "\(major):\(minor)" }
    var raw: dev_t { cblock_device(major, minor) }

    /// Which disk has the number now: it is never given twice while the machine runs (Linux 5.15). 0: not known.
    var sequence: UInt64 {
        let text = ProcFile.text("/sys/dev/block/\(description)/diskseq")
        return text.flatMap { UInt64($0.filter(\.isNumber)) } ?? 0
    }

    /// What mountinfo calls a mount's file system device or source: `/dev/loop0`.
    var path: String? {
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/sys/dev/block/\(description)"),
            let name = target.split(separator: "/").last
        else { return nil }
        return "/dev/\(name)"
    }
}
