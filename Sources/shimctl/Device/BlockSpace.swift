import Foundation

/// A range of a device as a block device of its own.
protocol BlockSpace {
    var device: DeviceNumber { get }
    var path: String { get }
    /// Whether somebody has it mounted, or claims it otherwise.
    var isInUse: Bool { get }
    /// Flushes it and lets it go; false where somebody still has it open, and the kernel waits for the last of them.
    func clear() throws -> Bool
}

extension BlockSpace {
    var isInUse: Bool {
        let descriptor = open(path, O_RDONLY | O_EXCL | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == EBUSY }
        _ = close(descriptor)
        return false
    }
}

/// Which kind of block device a range becomes.
enum BlockSpaces {
    /// A range of `file`: by the device mapper where the device's pages can be mapped directly, since that keeps them so
    /// (a loop device would not); else a loop device.
    static func make(of file: DeviceFile, range: Range<UInt64>, name: String) throws -> any BlockSpace {
        if file.isBlockDevice, isDAX(file) { return try LinearDevice.make(of: file, range: range, name: name) }
        return try LoopDevice.make(of: file, range: range)
    }

    /// The block device of that number, if it is one that we make; nothing where it is gone.
    static func find(_ number: DeviceNumber) -> (any BlockSpace)? {
        if number.major == 7 { return LoopDevice(number: Int32(truncatingIfNeeded: number.minor)) }
        return LinearDevice(number: number)
    }

    /// All that are made of `file`, whose superblock has that identifier.
    static func all(of file: DeviceFile, identifier: String) throws -> [any BlockSpace] {
        let linear = LinearDevice.all().filter { $0.name.contains(identifier) }
        return try LoopDevice.all().filter { $0.isBacked(by: file) } + linear
    }

    private static func isDAX(_ file: DeviceFile) -> Bool {
        let number = DeviceNumber(file.stat.rawValue.st_rdev)
        let text = try? String(contentsOfFile: "/sys/dev/block/\(number.description)/queue/dax", encoding: .utf8)
        return text?.first == "1"
    }
}
