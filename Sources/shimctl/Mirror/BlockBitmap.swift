import PmemShim

/// ext4's bitmaps of blocks, as they are on the device (struct ext4_group_desc). GETFSMAP tells less: blocks that ext4
/// keeps in memory for what its files may come to need are not free by that, and are nobody's.
struct BlockBitmap {
    private let primary: Primary
    private let superblock: Ext4Superblock

    /// - Returns: nothing where the file system is another one, or has a layout that is not known here.
    init?(_ primary: Primary) {
        guard let type = primary.mount?.type, type.hasPrefix("ext"), let superblock = Ext4Superblock(primary),
            superblock.isPlain, superblock.blockSize == 4_096, primary.pageSize == 4_096,
            (1...32_768).contains(superblock.blocksPerGroup),
            ((superblock.isWide ? 64 : 32)...1_024).contains(superblock.descriptorSize)
        else { return nil }
        self.primary = primary
        self.superblock = superblock
    }

    /// Whether a page is surely nobody's.
    func isFree(_ page: UInt64) -> Bool {
        let (group, bit) = page.quotientAndRemainder(dividingBy: superblock.blocksPerGroup)
        let (index, offset) = (group * superblock.descriptorSize).quotientAndRemainder(dividingBy: 4_096)
        guard let descriptors = MetadataPage(1 + index, primary) else { return false }
        func word(_ field: Int) -> UInt32 { descriptors.word(Int(offset) + field) }
        // Of a group whose bitmap has never been written (BLOCK_UNINIT) it tells nothing.
        guard word(0x10) >> 16 & 2 == 0 else { return false }
        let place = UInt64(superblock.isWide ? word(0x20) : 0) << 32 | UInt64(word(0))
        guard let bitmap = MetadataPage(place, primary) else { return false }
        return bitmap.word(Int(bit) / 32 * 4) >> UInt32(bit % 32) & 1 == 0
    }
}
