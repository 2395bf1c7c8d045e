import CMirror
import CShimSys
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// The mirror of a set, open for change: nobody else has it meanwhile.
final class MirrorDevice {
    let file: DeviceFile
    private(set) var superblock: Superblock
    /// Past the kernel's cache, where it can be: a copy need not be there twice.
    private let data: FileDescriptor

    var geometry: DeviceGeometry { superblock.geometry }
    var pageSize: UInt64 { UInt64(geometry.pageSize) }
    /// Pages of 2 MiB: what is read, compared and written at once.
    var chunkPages: UInt64 { Self.chunk / pageSize }
    static let chunk: UInt64 = 2 << 20

    /// - Throws: a `Complaint` where it cannot be opened.
    init(_ file: DeviceFile, _ superblock: Superblock) throws {
        self.file = file
        self.superblock = superblock
        data = try DirectFile.open(file, .readWrite)
    }

    func close() {
        closeData()
        file.close()
    }

    /// The device itself stays open.
    func closeData() { try? data.close() }

    var membership: SetMembership {
        get throws {
            guard let membership = superblock.membership else {
                throw Complaint(.failure, "\(name) belongs to no set")
            }
            return membership
        }
    }

    var name: String { file.path.string.printable }

    /// Changes what the superblock says, on media as well.
    func update(_ change: (inout SetMembership) -> Void) throws {
        var next = superblock
        var membership = try self.membership
        change(&membership)
        membership.sequence += 1
        next.membership = membership
        try file.write(next)
        superblock = next
    }

    func read(_ target: UnsafeMutableRawBufferPointer, page: UInt64) throws {
        try fill(target, at: geometry.dataOffset + page * pageSize)
    }

    func write(_ bytes: UnsafeRawBufferPointer, page: UInt64) throws {
        try write(bytes, at: geometry.dataOffset + page * pageSize)
    }

    /// Anywhere on the device: whole pages.
    func fill(_ target: UnsafeMutableRawBufferPointer, at offset: UInt64) throws {
        let count = try DeviceFile.complaining("the mirror, \(name), at \(offset)") {
            try data.fill(target, at: Int64(offset))
        }
        guard count == target.count else { throw Complaint(.failure, "the mirror, \(name), ends at \(offset)") }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try DeviceFile.complaining("the mirror, \(name), at \(offset)") {
            _ = try data.writeAll(toAbsoluteOffset: Int64(offset), bytes)
        }
    }

    /// All that was written is on media after it.
    func flush() throws {
        guard fsync(data.rawValue) == 0 else {
            throw Complaint(.failure, "the mirror, \(name): fsync: \(Errno(rawValue: errno))")
        }
        try file.synchronise()
    }

    /// The records of some pages, at most a chunk's.
    func records(of pages: Range<UInt64>) throws -> MirrorRecords {
        let records = MirrorRecords(pages, tag: try membership.tag)
        let count = try file.read(into: records.bytes, at: place(pages))
        guard count == records.bytes.count else { throw Complaint(.failure, "the mirror, \(name), is cut short") }
        return records
    }

    /// Whether a page is what was copied.
    func isWhole(_ page: UInt64) throws -> Bool {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(pageSize), alignment: 4_096)
        defer { bytes.deallocate() }
        try read(bytes, page: page)
        guard let record = try records(of: page..<page + 1)[page], let base = bytes.baseAddress else { return false }
        return cmirror_checksum(base, bytes.count) == record.checksum
    }

    func write(_ records: MirrorRecords) throws {
        guard records.isChanged else { return }
        try file.write(UnsafeRawBufferPointer(records.bytes), at: place(records.pages))
    }

    private func place(_ pages: Range<UInt64>) -> UInt64 {
        geometry.arrayOffset + pages.lowerBound * UInt64(PS_DEVICE_DESCRIPTOR)
    }
}

/// A second descriptor of a file that is open already: past the kernel's cache where that is possible.
enum DirectFile {
    static func open(_ file: DeviceFile, _ mode: FileDescriptor.AccessMode) throws -> FileDescriptor {
        let descriptor = try open(file.path, mode)
        let found = try? Stat(descriptor).rawValue
        guard found?.st_ino == file.stat.rawValue.st_ino, found?.st_dev == file.stat.rawValue.st_dev,
            found?.st_rdev == file.stat.rawValue.st_rdev
        else {
            try? descriptor.close()
            throw Complaint(.failure, "\(file.path.string.printable) has become another file meanwhile")
        }
        return descriptor
    }

    static func open(_ path: FilePath, _ mode: FileDescriptor.AccessMode) throws -> FileDescriptor {
        try DeviceFile.complaining(path.string.printable) {
            do {
                return try FileDescriptor.open(path, mode, options: [direct, .noFollow, .closeOnExec, .nonBlocking])
            } catch Errno.invalidArgument {
                return try FileDescriptor.open(path, mode, options: [.noFollow, .closeOnExec, .nonBlocking])
            }
        }
    }

    /// O_DIRECT (open(2)), which Swift's Glibc does not show.
    private static let direct = FileDescriptor.OpenOptions(rawValue: 0o40_000)
}
