import CMirror
import CShimSys

/// What a mirror says of some of its pages, one behind the other: `ps_mirror_record`, 64 bytes each. Whatever stands
/// there is checked before it counts.
final class MirrorRecords {
    struct Record: Equatable {
        /// Of the pass that copied the page last.
        let epoch: UInt64
        /// CRC-32C of the page.
        let checksum: UInt32
    }

    let pages: Range<UInt64>
    let bytes: UnsafeMutableRawBufferPointer
    private(set) var isChanged = false
    private let tag: UInt32

    /// - Parameter tag: of the set.
    init(_ pages: Range<UInt64>, tag: UInt32) {
        self.pages = pages
        self.tag = tag
        bytes = .allocate(byteCount: pages.count * Self.size, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { bytes.deallocate() }

    /// Nothing where none has been written, or it is damaged, or is another page's or another set's.
    subscript(page: UInt64) -> Record? {
        let at = Int(page - pages.lowerBound) * Self.size
        func number<Number: FixedWidthInteger & BitwiseCopyable>(_ field: Int, _: Number.Type) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: at + field, as: Number.self))
        }
        guard number(0, UInt32.self) == check(at), number(4, UInt32.self) == tag, number(8, UInt64.self) == page,
            number(28, UInt32.self) == 1
        else { return nil }
        return Record(epoch: number(16, UInt64.self), checksum: number(24, UInt32.self))
    }

    func set(_ record: Record, of page: UInt64) {
        let at = Int(page - pages.lowerBound) * Self.size
        func store<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, _ field: Int) {
            bytes.storeBytes(of: number.littleEndian, toByteOffset: at + field, as: Number.self)
        }
        for field in 0..<Self.size { bytes[at + field] = 0 }
        store(tag, 4)
        store(page, 8)
        store(record.epoch, 16)
        store(record.checksum, 24)
        store(UInt32(1), 28)
        store(check(at), 0)
        isChanged = true
    }

    /// Of the record at byte `at`.
    private func check(_ at: Int) -> UInt32 {
        let record = UnsafeRawBufferPointer(rebasing: bytes[at + 4..<at + Self.size])
        guard let base = record.baseAddress else { return 0 }
        return cmirror_checksum(base, record.count)
    }

    private static let size = Int(PS_DEVICE_DESCRIPTOR)
}
