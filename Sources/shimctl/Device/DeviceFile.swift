import CBlock
import Glibc
import PmemShim
import SystemPackage

/// An image file or a block device, open.
struct DeviceFile {
    /// Real and absolute.
    let path: FilePath
    let descriptor: FileDescriptor
    /// On a block device that is open for change: what nobody else can have meanwhile.
    let claim: Claim?
    let isBlockDevice: Bool
    /// Bytes.
    let size: UInt64
    let stat: Stat

    enum Purpose {
        /// To look only.
        case inspect
        /// To write superblocks, or to attach: nobody else may be using it. A lock keeps other shimctls away; that of
        /// an image belongs to the open file, so a loop device that is given it keeps it until detached.
        case change
        /// To write the superblock of a device that is attached, with the lock of attach and detach.
        case amend
    }

    /// An exclusive open of a block device, which keeps mounts and everybody else's exclusive opens away (open(2)). A
    /// loop device that is given it keeps it. The device mapper makes a claim of its own, and finds this one in its
    /// way.
    final class Claim {
        private(set) var descriptor: FileDescriptor?

        init(_ path: FilePath, shown: String) throws {
            do {
                descriptor = try FileDescriptor.open(path, .readWrite, options: Self.options)
            } catch Errno.resourceBusy {
                throw Complaint(
                    .failure,
                    "\(shown) is in use: attached, mounted, part of another device, or another shimctl works on it",
                    isTemporary: true)
            } catch let reason as Errno {
                throw Complaint(.failure, "\(shown): \(reason)")
            }
        }

        func release() {
            try? descriptor?.close()
            descriptor = nil
        }

        private static let options: FileDescriptor.OpenOptions = [
            .init(rawValue: O_EXCL), .closeOnExec, .nonBlocking, .noFollow,
        ]
    }

    /// - Throws: a `Complaint` that names the device and says why it cannot be used.
    static func open(_ name: String, for purpose: Purpose) throws -> DeviceFile {
        let shown = "\"\(name.printable)\""
        guard let resolved = realpath(name, nil) else {
            throw Complaint(.failure, "\(shown): \(Errno(rawValue: errno))")
        }
        defer { free(resolved) }
        let path = FilePath(platformString: resolved)
        // Looked at before it is opened: opening some special files has effects.
        let kind = try complaining(shown) { try Stat(path).type }
        guard kind == .regular || kind == .blockSpecial else {
            throw Complaint(.failure, "\(shown) is neither a file nor a block device")
        }
        var flags = O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW
        switch purpose {
        case .inspect: flags |= O_RDONLY
        case .change, .amend: flags |= O_RDWR
        }
        let raw = path.withPlatformString { Glibc.open($0, flags) }
        guard raw >= 0 else {
            throw Complaint(.failure, "\(shown): \(Errno(rawValue: errno))")
        }
        let descriptor = FileDescriptor(rawValue: raw)
        do {
            let isClaimed = purpose == .change && kind == .blockSpecial
            let file = try DeviceFile(
                path: path, descriptor: descriptor, claim: isClaimed ? Claim(path, shown: shown) : nil, shown: shown)
            if purpose == .change { try file.lock(shown) }
            return file
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    /// An image file that has just been made, and that nobody else knows yet.
    init(new descriptor: FileDescriptor, named name: String) throws {
        let shown = "\"\(name.printable)\""
        guard let resolved = realpath(name, nil) else {
            throw Complaint(.failure, "\(shown): \(Errno(rawValue: errno))")
        }
        defer { free(resolved) }
        try self.init(path: FilePath(platformString: resolved), descriptor: descriptor, claim: nil, shown: shown)
        try lock(shown)
    }

    private init(path: FilePath, descriptor: FileDescriptor, claim: Claim?, shown: String) throws {
        self.path = path
        self.descriptor = descriptor
        self.claim = claim
        stat = try Self.complaining(shown) { try Stat(descriptor) }
        isBlockDevice = stat.type == .blockSpecial
        guard isBlockDevice || stat.type == .regular else {
            throw Complaint(.failure, "\(shown) is neither a file nor a block device")
        }
        // The same name twice: nobody may have put another device in its place between the two.
        if let claimed = claim?.descriptor {
            let other = try Self.complaining(shown) { try Stat(claimed) }
            guard other.rawValue.st_rdev == stat.rawValue.st_rdev else {
                throw Complaint(.failure, "\(shown) has become another device meanwhile")
            }
        }
        size = UInt64(try Self.complaining(shown) { try descriptor.seek(offset: 0, from: .end) })
    }

    func close() {
        claim?.release()
        try? descriptor.close()
    }

    /// This device with `size` bytes, as it is after it was extended.
    func resized() throws -> DeviceFile {
        try DeviceFile(path: path, descriptor: descriptor, claim: claim, shown: path.string.printable)
    }

    private func lock(_ shown: String) throws {
        guard flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            // The loop device that it is attached through has the lock as well.
            let isAttached = try LoopDevice.all().contains { $0.isBacked(by: stat.rawValue) }
            throw Complaint(
                .failure, isAttached ? "\(shown) is attached" : "another shimctl is at work on \(shown)",
                isTemporary: !isAttached)
        }
        if let loop = try LoopDevice.all().first(where: { $0.isBacked(by: stat.rawValue) }) {
            throw Complaint(.failure, "\(shown) is in use by \(loop.path)")
        }
    }

    /// Reads into `buffer` as much of it as the device has at `offset`; the number of bytes.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        try Self.complaining("\(path.string.printable) at \(offset)") {
            try descriptor.fill(buffer, at: Int64(offset))
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try Self.complaining("\(path.string.printable) at \(offset)") {
            _ = try descriptor.writeAll(toAbsoluteOffset: Int64(offset), bytes)
        }
    }

    /// Of a block device: the least that it reads and writes, bytes. 0: not known.
    var sectorSize: UInt32 {
        var size: Int32 = 0
        return ioctl(descriptor.rawValue, UInt(cblock_sector_size), &size) == 0 ? UInt32(max(size, 0)) : 0
    }

    func synchronise() throws {
        guard fsync(descriptor.rawValue) == 0 else {
            throw Complaint(.failure, "\(path.string.printable): fsync: \(Errno(rawValue: errno))")
        }
    }

    /// Turns the system's word into a complaint about `what`.
    static func complaining<Result>(_ what: @autoclosure () -> String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let reason as Errno {
            throw Complaint(.failure, "\(what()): \(reason)")
        }
    }
}
