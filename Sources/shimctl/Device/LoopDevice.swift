import CBlock
import FoundationEssentials
import Glibc
import SystemPackage

/// A loop device of the kernel: a part of a file or of another block device, as a block device (loop(4)).
struct LoopDevice: BlockSpace {
    let number: Int32
    /// What it shows, as the kernel says.
    let info: loop_info64

    var path: String { "/dev/loop\(number)" }
    /// Device number.
    var device: DeviceNumber { DeviceNumber(major: 7, minor: UInt32(number)) }

    /// What it shows a part of, as the kernel names it now.
    var backingPath: String { ProcFile.text("/sys/block/loop\(number)/loop/backing_file")?.trimmed ?? "" }

    /// Whether it shows a part of the file or block device with those facts.
    func isBacked(by found: stat) -> Bool {
        if found.st_mode & S_IFMT == S_IFBLK { return info.lo_rdevice == UInt64(found.st_rdev) }
        return info.lo_device == UInt64(found.st_dev) && info.lo_inode == UInt64(found.st_ino)
    }

    /// All that show something now.
    static func all() throws -> [LoopDevice] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []
        return names.compactMap { name in
            guard name.hasPrefix("loop"), let number = Int32(name.dropFirst(4)),
                FileManager.default.fileExists(atPath: "/sys/block/\(name)/loop/backing_file")
            else { return nil }
            return LoopDevice(number: number)
        }
    }

    /// - Returns: nothing where it shows nothing, or cannot be asked.
    init?(number: Int32) {
        let descriptor = open("/dev/loop\(number)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var info = loop_info64()
        guard ioctl(descriptor, UInt(LOOP_GET_STATUS64), &info) == 0 else { return nil }
        self.number = number
        self.info = info
    }

    /// Makes `range` of `file` a block device. The kernel keeps the open file, and with it the claim on it.
    ///
    /// It is read and written past the kernel's cache of `file`, where that can be: through the cache the kernel's
    /// driver calls a read that fails in the middle a success, and has zeros for data (lo_read_simple, a short read).
    static func make(of file: DeviceFile, range: Range<UInt64>) throws -> LoopDevice {
        let control = open("/dev/loop-control", O_RDWR | O_CLOEXEC)
        guard control >= 0 else {
            throw Complaint(.failure, "no loop device can be had: /dev/loop-control: \(Errno(rawValue: errno))")
        }
        defer { _ = close(control) }
        // The free one may be taken by somebody else before it is configured: then the next.
        for _ in 0..<64 {
            let number = ioctl(control, UInt(LOOP_CTL_GET_FREE), 0)
            guard number >= 0 else {
                throw Complaint(.failure, "no loop device can be had: \(Errno(rawValue: errno))")
            }
            switch configure(number, file, range) {
            case 0:
                guard let loop = LoopDevice(number: number) else {
                    throw Complaint(.failure, "/dev/loop\(number) went away as soon as it was made")
                }
                return loop
            case EBUSY: continue
            case let reason:
                throw Complaint(
                    .failure, "/dev/loop\(number) of \(file.path.string.printable): \(Errno(rawValue: reason))")
            }
        }
        throw Complaint(.failure, "no loop device can be had: others took every one that was free")
    }

    private static func configure(_ number: Int32, _ file: DeviceFile, _ range: Range<UInt64>) -> Int32 {
        let descriptor = open("/dev/loop\(number)", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { _ = close(descriptor) }
        var config = loop_config()
        config.fd = UInt32((file.claim?.descriptor ?? file.descriptor).rawValue)
        config.info.lo_offset = range.lowerBound
        config.info.lo_flags = UInt32(LO_FLAGS_DIRECT_IO)
        // Smaller ones than the device's own would go through the cache. 0: the kernel chooses.
        config.block_size = file.isBlockDevice ? file.sectorSize : 0
        config.info.lo_sizelimit = range.upperBound - range.lowerBound
        withUnsafeMutableBytes(of: &config.info.lo_file_name) { name in
            // For people only (losetup); one byte stays 0.
            for (index, byte) in file.path.string.utf8.prefix(name.count - 1).enumerated() { name[index] = byte }
        }
        return ioctl(descriptor, UInt(LOOP_CONFIGURE), &config) == 0 ? 0 : errno
    }

    func clear(_ claim: FileDescriptor) throws -> Bool {
        let sequence = device.sequence
        let result = ioctl(claim.rawValue, UInt(LOOP_CLR_FD), 0) == 0 ? 0 : errno
        try? claim.close()
        guard result == 0 || result == ENXIO else { throw Complaint(.failure, "\(path): \(Errno(rawValue: result))") }
        // Whoever looks at new devices (udev) may hold it for a moment.
        for _ in 0..<100 {
            guard device.sequence == sequence, LoopDevice(number: number) != nil else { return true }
            Pause.take(seconds: 0.02)
        }
        return false
    }
}
