import CShimSys
import FoundationEssentials
import Glibc
import PmemShim
import SystemPackage

/// The user's page arrays in DRAM (ps_pages.h), open for reading. Anybody of that user may have scribbled over them:
/// what is read is copied first, and nothing in it is used as an index or a length.
struct PagesFile {
    let descriptor: FileDescriptor

    /// 128 MiB of a file, and where its array is.
    struct Slot {
        let number: Int
        let key: UInt64
        let device: UInt64
        let inode: UInt64
        let birth: Int64
        let section: UInt64
        let path: String

        func scan(_ file: PagesFile) -> GroupScan {
            GroupScan(
                descriptor: file.descriptor,
                start: UInt64(PS_PAGES_ARRAYS) + UInt64(number) * UInt64(PS_DEVICE_ARRAY_SIZE),
                pageCount: UInt64(PS_DEVICE_SECTION_PAGES), tag: PageKey.tag(key))
        }
    }

    /// - Returns: nothing if there is none yet.
    /// - Throws: a `Complaint` if it is not this user's own private file, or not one that this version understands.
    static func open(in place: RuntimePlace) throws -> PagesFile? {
        guard let descriptor = try place.open(PS_PAGES_FILE_NAME) else { return nil }
        let head = try read(descriptor, at: 0, count: 32)
        let name = place.directory.appending(PS_PAGES_FILE_NAME).string.printable
        do {
            guard number(head, 0) != 0 else {
                try? descriptor.close()
                return nil  // its maker has not got further
            }
            guard number(head, 0) == PS_PAGES_MAGIC else {
                throw Complaint(.failure, "\(name) has no page arrays of pmemshim (wrong magic number)")
            }
            guard number(head, 8) == UInt64(MemoryLayout<ps_pages_slot>.size) << 32 | UInt64(PS_PAGES_VERSION),
                number(head, 16) & 0xffff_ffff == UInt64(PS_PAGES_SLOTS)
            else { throw Complaint(.failure, "\(name) has another layout than this shimctl reads") }
        } catch {
            try? descriptor.close()
            throw error
        }
        return PagesFile(descriptor: descriptor)
    }

    func close() { try? descriptor.close() }

    /// Those that belong to a file.
    func slots() throws -> [Slot] {
        let size = MemoryLayout<ps_pages_slot>.size
        let bytes = try Self.read(descriptor, at: Int64(PS_PAGES_DIRECTORY), count: Int(PS_PAGES_SLOTS) * size)
        return (0..<Int(PS_PAGES_SLOTS)).compactMap { index in
            let start = index * size
            let key = Self.number(bytes, start)
            guard key != 0 else { return nil }
            let path = bytes[start + 64..<start + size].prefix { $0 != 0 }
            return Slot(
                number: index, key: key, device: Self.number(bytes, start + 8), inode: Self.number(bytes, start + 16),
                birth: Int64(bitPattern: Self.number(bytes, start + 24)), section: Self.number(bytes, start + 32),
                path: String(decoding: path, as: UTF8.self))
        }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }

    /// What lies beyond the end of the file reads as zeros.
    private static func read(_ descriptor: FileDescriptor, at offset: Int64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try DeviceFile.complaining("the page arrays") {
            _ = try bytes.withUnsafeMutableBytes { try descriptor.fill($0, at: offset) }
        }
        return bytes
    }
}
