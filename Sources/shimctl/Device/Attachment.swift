import CBlock
import CShimSys
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// A registered device: what `ps_attachment` holds, checked.
struct Attachment {
    var identifier: Superblock.Identifier
    var generation: UInt64
    var dataSize: UInt64
    var pageSize: UInt32
    /// The logical block space, and the page arrays.
    var data: DeviceNumber
    var pages: DeviceNumber
    /// Which disks had those numbers when the device was attached; 0: not known.
    var dataSequence: UInt64
    var pagesSequence: UInt64
    var attached: UInt64
    /// A detach could not write everything back, and said so.
    var hasLostData = false
    var name: String
    /// The image or block device.
    var device: String
    /// The node of the page arrays.
    var pagesPath: String

    /// Whether the two block devices are still those that were registered, and not others that were given their
    /// numbers.
    var isCurrent: Bool { data.sequence == dataSequence && data.path != nil && hasPages }
    private var hasPages: Bool { pages.sequence == pagesSequence && pages.path != nil }

    /// As it stands in the file.
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Layout.size)
        bytes.withUnsafeMutableBytes { target in
            func store<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, _ offset: Int) {
                target.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
            }
            func store(_ text: String, _ offset: Int, _ room: Int) {
                for (index, byte) in text.utf8.prefix(room - 1).enumerated() { target[offset + index] = byte }
            }
            store(UInt64(PS_ATTACHMENT_MAGIC), Layout.magic)
            store(UInt32(PS_ATTACHMENT_VERSION), Layout.version)
            store(UInt32(Layout.size), Layout.sizeField)
            target.storeBytes(of: identifier.high.bigEndian, toByteOffset: Layout.uuid, as: UInt64.self)
            target.storeBytes(of: identifier.low.bigEndian, toByteOffset: Layout.uuid + 8, as: UInt64.self)
            store(generation, Layout.generation)
            store(dataSize, Layout.dataSize)
            store(pageSize, Layout.pageSize)
            store(data.major, Layout.dataMajor)
            store(data.minor, Layout.dataMinor)
            store(pages.major, Layout.pagesMajor)
            store(pages.minor, Layout.pagesMinor)
            store(hasLostData ? Self.lostData : 0, Layout.flags)
            store(dataSequence, Layout.dataSequence)
            store(pagesSequence, Layout.pagesSequence)
            store(attached, Layout.attached)
            store(name, Layout.name, 256)
            store(device, Layout.device, Int(PS_ATTACHMENT_PATH))
            store(pagesPath, Layout.pages, Int(PS_ATTACHMENT_PATH))
        }
        return bytes
    }

    /// - Returns: nothing for bytes that are no registration of this version.
    init?(parsing bytes: [UInt8]) {
        guard bytes.count == Layout.size else { return nil }
        func number32(_ offset: Int) -> UInt32 {
            bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
        }
        func number64(_ offset: Int) -> UInt64 {
            bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
        }
        func text(_ offset: Int, _ room: Int) -> String {
            String(decoding: bytes[offset..<offset + room].prefix { $0 != 0 }, as: UTF8.self)
        }
        guard number64(Layout.magic) == UInt64(PS_ATTACHMENT_MAGIC),
            number32(Layout.version) == UInt32(PS_ATTACHMENT_VERSION), number32(Layout.sizeField) == Layout.size
        else { return nil }
        identifier = .init(high: number64(Layout.uuid).byteSwapped, low: number64(Layout.uuid + 8).byteSwapped)
        generation = number64(Layout.generation)
        dataSize = number64(Layout.dataSize)
        pageSize = number32(Layout.pageSize)
        data = DeviceNumber(major: number32(Layout.dataMajor), minor: number32(Layout.dataMinor))
        pages = DeviceNumber(major: number32(Layout.pagesMajor), minor: number32(Layout.pagesMinor))
        hasLostData = number32(Layout.flags) & Self.lostData != 0
        dataSequence = number64(Layout.dataSequence)
        pagesSequence = number64(Layout.pagesSequence)
        attached = number64(Layout.attached)
        name = text(Layout.name, 256)
        device = text(Layout.device, Int(PS_ATTACHMENT_PATH))
        pagesPath = text(Layout.pages, Int(PS_ATTACHMENT_PATH))
    }

    init(
        superblock: Superblock, name: String, device: FilePath, data: DeviceNumber, pages: DeviceNumber,
        pagesPath: String
    ) {
        identifier = superblock.identifier
        generation = superblock.generation
        dataSize = superblock.geometry.dataSize
        pageSize = superblock.geometry.pageSize
        self.data = data
        self.pages = pages
        dataSequence = data.sequence
        pagesSequence = pages.sequence
        attached = UInt64(max(ps_sys_realtime_now(), 0))
        self.name = name
        self.device = device.string
        self.pagesPath = pagesPath
    }

    private static let lostData: UInt32 = 1

    /// Offsets within `ps_attachment`.
    private enum Layout {
        static let size = MemoryLayout<ps_attachment>.size
        static let magic = offset(\.magic)
        static let version = offset(\.version)
        static let sizeField = offset(\.size)
        static let uuid = offset(\.uuid)
        static let generation = offset(\.attach_generation)
        static let dataSize = offset(\.data_size)
        static let pageSize = offset(\.page_size)
        static let dataMajor = offset(\.data_major)
        static let dataMinor = offset(\.data_minor)
        static let pagesMajor = offset(\.pages_major)
        static let pagesMinor = offset(\.pages_minor)
        static let flags = offset(\.reserved)
        static let dataSequence = offset(\.data_sequence)
        static let pagesSequence = offset(\.pages_sequence)
        static let attached = offset(\.attached_ns)
        static let name = offset(\.name)
        static let device = offset(\.device)
        static let pages = offset(\.pages)

        private static func offset(_ field: PartialKeyPath<ps_attachment>) -> Int {
            // Every field above is stored, so there is always an offset.
            MemoryLayout<ps_attachment>.offset(of: field) ?? 0
        }
    }
}
