import FoundationEssentials
import Glibc
import SystemPackage

/// A range of a device as a block device of its own.
protocol BlockSpace {
    var device: DeviceNumber { get }
    var path: String { get }
    /// Whether it shows a part of the file or block device with those facts.
    func isBacked(by found: stat) -> Bool
    /// Lets it go, and closes the claim. While somebody else has it open, the kernel waits for the last of them.
    /// - Returns: whether it is gone.
    func clear(_ claim: FileDescriptor) throws -> Bool
}

extension BlockSpace {
    /// Opened so that nobody can mount it, or claim it otherwise, until this is closed.
    /// - Returns: nothing where somebody has done so already.
    func claim() throws -> FileDescriptor? {
        let descriptor = open(path, O_RDWR | O_EXCL | O_CLOEXEC)
        if descriptor >= 0 { return FileDescriptor(rawValue: descriptor) }
        if errno == EBUSY { return nil }
        throw Complaint(.failure, "\(path): \(Errno(rawValue: errno))")
    }

    /// Claims, flushes and clears what an attach that failed has made.
    func discard() throws {
        guard let claim = try claim() else { throw Complaint(.failure, "\(path) is in use") }
        _ = fsync(claim.rawValue)
        _ = try clear(claim)
    }
}

/// Which kind of block device a range becomes.
enum BlockSpaces {
    /// A range of `file`: by the device mapper where the device's pages can be mapped directly, since that keeps them
    /// so (a loop device would not); else a loop device.
    static func make(of file: DeviceFile, range: Range<UInt64>, name: String) throws -> any BlockSpace {
        if isDAX(file) { return try LinearDevice.make(of: file, range: range, name: name) }
        return try LoopDevice.make(of: file, range: range)
    }

    /// The block device of that number, if it is one that we make; nothing where it is gone.
    static func find(_ number: DeviceNumber) -> (any BlockSpace)? {
        if number.major == 7 { return LoopDevice(number: Int32(truncatingIfNeeded: number.minor)) }
        return KernelMirror(number: number) ?? LinearDevice(number: number)
    }

    /// All that are made of `file`.
    static func all(of file: DeviceFile) throws -> [any BlockSpace] {
        let mirrors = KernelMirror.all()
        let legs = Set(mirrors.flatMap { [$0.own.number, $0.other.number] })
        let loops = try LoopDevice.all().filter { !legs.contains($0.number) }
        let spaces: [any BlockSpace] = loops + LinearDevice.all() + mirrors
        return spaces.filter { $0.isBacked(by: file.stat.rawValue) }
    }

    /// Whether it is a block device whose pages can be mapped directly.
    static func isDAX(_ file: DeviceFile) -> Bool {
        file.isBlockDevice && isDAX(DeviceNumber(file.stat.rawValue.st_rdev))
    }

    static func isDAX(_ number: DeviceNumber) -> Bool {
        // A partition has no queue of its own; its directory is within that of the whole device.
        let folder = "/sys/dev/block/\(number.description)"
        let text = ProcFile.text("\(folder)/queue/dax") ?? ProcFile.text("\(folder)/../queue/dax")
        return text?.first == "1"
    }
}
