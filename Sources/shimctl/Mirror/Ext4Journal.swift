import PmemShim

/// Where ext4's journal lies, which a mirror of a file system that stands still does not need.
///
/// Freezing empties the journal (ext4_freeze): all that it told of has been written to its place, and
/// its first block, its superblock, says so (s_start is 0, fs/jbd2). Whoever mounts that state reads no other
/// block of it. Later ones take their places one by one, with higher numbers than whatever older ones have been left
/// there, by which recovery knows the end of the log: as in any journal, which is used round and round.
struct Ext4Journal {
    /// All blocks but the first.
    let pages: PageRanges
    private let first: UInt64
    private let blockCount: UInt64
    private let primary: Primary

    /// - Returns: nothing where there is none, or it has a layout that is not known here.
    init?(_ primary: Primary) {
        guard primary.mount?.type == "ext4", primary.pageSize == 4_096, let superblock = Ext4Superblock(primary),
            superblock.isPlain, superblock.blockSize == 4_096, !superblock.hasFastCommits,
            let blocks = superblock.journalBlocks, Self.isOfInode(superblock, primary), let first = blocks.first
        else { return nil }
        let whole = PageRanges(blocks)
        let count = primary.geometry.pageCount
        guard blocks.allSatisfy({ $0.upperBound <= count }), whole.count == blocks.reduce(0, { $0 + UInt64($1.count) })
        else { return nil }
        self.primary = primary
        self.first = first.lowerBound
        blockCount = whole.count
        pages = whole.subtracting(PageRanges([first.lowerBound..<first.lowerBound + 1]))
    }

    /// Whether it is surely empty, and stays so as long as the file system stands still.
    var isEmpty: Bool {
        guard let superblock = Ext4Superblock(primary), !superblock.needsRecovery,
            let page = MetadataPage(first, primary)
        else { return false }
        // Big-endian: magic number, kind of block (4: a superblock of version 2), size and count of blocks, the first
        // one of the log, its start, an error, features (fast commits: 0x20).
        func word(_ offset: Int) -> UInt32 { page.word(offset).byteSwapped }
        return word(0) == 0xc03b_3998 && word(4) == 4 && word(12) == 4_096 && UInt64(word(16)) == blockCount
            && word(20) == 1 && word(28) == 0 && word(32) == 0 && word(40) & 0x20 == 0
    }

    /// Whether what the superblock says of its blocks is what its inode, number 8, says (struct ext4_inode, i_block).
    private static func isOfInode(_ superblock: Ext4Superblock, _ primary: Primary) -> Bool {
        let size = superblock.inodeSize
        guard (128...4_096).contains(size), let descriptors = MetadataPage(1, primary) else { return false }
        let table = UInt64(superblock.isWide ? descriptors.word(0x28) : 0) << 32 | UInt64(descriptors.word(8))
        let (page, offset) = (7 * size).quotientAndRemainder(dividingBy: 4_096)
        guard offset + size <= 4_096, let inodes = MetadataPage(table &+ page, primary) else { return false }
        return (0..<15).allSatisfy { inodes.word(Int(offset) + 40 + $0 * 4) == superblock.journalWord($0) }
    }
}
