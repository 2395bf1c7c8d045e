import PmemShim

/// ext4's bitmaps of blocks, as they are on the device (struct ext4_group_desc). GETFSMAP tells less: blocks that ext4
/// keeps in memory for what its files may come to need are not free by that, and are nobody's.
struct BlockBitmap {
    private let primary: Primary
    private let blocksPerGroup: UInt64
    private let descriptorSize: UInt64
    private let hasHighHalf: Bool

    /// - Returns: nothing where the file system is another one, or has a layout that is not known here.
    init?(_ primary: Primary) {
        guard let type = primary.mount?.type, type.hasPrefix("ext"), primary.pageSize == 4_096,
            let first = Self.page(0, primary)
        else { return nil }
        let start = 1_024
        let incompatible = first.word(start + 0x60)
        // 4 KiB blocks; no groups of groups (meta_bg), no clusters (bigalloc).
        guard first.word(start + 0x38) & 0xffff == 0xef53, first.word(start + 0x18) == 2, incompatible & 0x10 == 0,
            first.word(start + 0x64) & 0x200 == 0, first.word(start + 0x20) > 0
        else { return nil }
        self.primary = primary
        blocksPerGroup = UInt64(first.word(start + 0x20))
        hasHighHalf = incompatible & 0x80 != 0
        descriptorSize = hasHighHalf ? UInt64(first.word(start + 0xfc) >> 16) : 32
        guard descriptorSize >= (hasHighHalf ? 64 : 32), descriptorSize <= 1_024, blocksPerGroup <= 32_768 else {
            return nil
        }
    }

    /// Whether a page is surely nobody's.
    func isFree(_ page: UInt64) -> Bool {
        let place = page / blocksPerGroup * descriptorSize
        guard let descriptors = Self.page(1 + place / 4_096, primary) else { return false }
        let at = Int(place % 4_096)
        // Of a group whose bitmap has never been written (BLOCK_UNINIT) it tells nothing.
        guard descriptors.word(at + 0x10) >> 16 & 2 == 0 else { return false }
        let high = hasHighHalf ? UInt64(descriptors.word(at + 0x20)) << 32 : 0
        let bit = Int(page % blocksPerGroup)
        guard let bitmap = Self.page(high | UInt64(descriptors.word(at)), primary) else { return false }
        return bitmap.word(bit / 32 * 4) >> UInt32(bit % 32) & 1 == 0
    }

    private static func page(_ number: UInt64, _ primary: Primary) -> Page? {
        guard number < primary.geometry.pageCount else { return nil }
        let page = Page()
        return (try? primary.read(page.bytes, page: number)) == true ? page : nil
    }

    private final class Page {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 4_096)

        deinit { bytes.deallocate() }

        func word(_ offset: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
    }
}
