import CBlock
import CShimSys
import Glibc
import SystemPackage

/// What `create` does beside writing superblocks: all on the one descriptor that was looked at, locked or claimed.
extension DeviceFile {
    /// Makes a new image file, sparse, of `size` bytes, and opens it for change.
    /// - Returns: nothing if there is something of that name, be it a dangling symbolic link.
    static func make(_ name: String, size: ByteSize) throws -> DeviceFile? {
        let shown = "\"\(name.printable)\""
        let raw = Glibc.open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard raw >= 0 else {
            if errno == EEXIST { return nil }
            throw Complaint(.failure, "\(shown): \(Errno(rawValue: errno))")
        }
        let descriptor = FileDescriptor(rawValue: raw)
        do {
            guard ftruncate(raw, off_t(size.bytes)) == 0 else {
                throw Complaint(
                    .failure,
                    "\(shown): its file system does not take a file of \(size.description): \(Errno(rawValue: errno))")
            }
            return try DeviceFile(new: descriptor, named: name)
        } catch {
            _ = unlink(name)
            try? descriptor.close()
            throw error
        }
    }

    /// Takes the name away again, as long as it is still this file's.
    func unlinkUnlessReplaced() {
        var found = Glibc.stat()
        guard lstat(path.string, &found) == 0, found.st_ino == stat.rawValue.st_ino,
            found.st_dev == stat.rawValue.st_dev
        else { return }
        _ = unlink(path.string)
    }

    /// An image that a program is writing to may be empty now and not a moment later. As long as this file is open, the
    /// kernel lets nobody else open it for 45 seconds (a write lease, fcntl(2)), and says whether anybody has. File
    /// systems without leases do not tell. A block device is claimed already.
    func demandAlone() throws {
        guard !isBlockDevice else { return }
        // To be told by a signal that somebody waits is of no use here.
        signal(SIGIO, SIG_IGN)
        guard fcntl(descriptor.rawValue, Int32(CBLOCK_F_SETLEASE), F_WRLCK) != 0, errno == EAGAIN, !isRemote else {
            return
        }
        throw Complaint(.failure, "\"\(path.string.printable)\" is open in another program, which may be writing to it")
    }

    /// NFS says EAGAIN for what it has no delegation for, whoever uses it.
    private var isRemote: Bool {
        var system = statfs()
        return fstatfs(descriptor.rawValue, &system) == 0 && system.f_type == PS_NFS_MAGIC
    }

    /// Sees to it that there is room for what is to be written, before anything is: a full file system would let one
    /// superblock through and not the other.
    func reserve(_ count: Int, at offsets: [UInt64]) throws {
        guard !isBlockDevice else { return }
        for offset in offsets {
            let result = posix_fallocate(descriptor.rawValue, off_t(offset), off_t(count))
            guard result == 0 || result == EOPNOTSUPP || result == EINVAL else {
                throw Complaint(.failure, "\"\(path.string.printable)\": \(Errno(rawValue: result))")
            }
        }
    }

    /// Bytes that a sparse image may still have to be given, and that its file system does not have; 0 if it has them.
    var missingRoom: UInt64 {
        var system = statvfs()
        var now = Glibc.stat()
        guard !isBlockDevice, fstatvfs(descriptor.rawValue, &system) == 0, fstat(descriptor.rawValue, &now) == 0 else {
            return 0
        }
        let free = UInt64(system.f_bavail).multipliedReportingOverflow(by: UInt64(system.f_frsize)).partialValue
        let open = UInt64(max(now.st_size, 0)).saturatingSubtract(UInt64(max(now.st_blocks, 0)) * 512)
        return open.saturatingSubtract(free)
    }
}
