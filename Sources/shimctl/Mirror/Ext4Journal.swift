import PmemShim

/// Where ext4's journal lies, which a mirror of a file system that stands still does not need.
///
/// Freezing empties the journal (ext4_freeze): all that it told of has been written to its place, and its first block,
/// its superblock, says so (s_start is 0, fs/jbd2). Whoever mounts that state reads no other block of it. Later
/// transactions take their places one by one, and recovery knows its end by their numbers: what is left there of older
/// ones has lower numbers, as in any journal, which is used round and round.
struct Ext4Journal {
    /// All blocks but the first.
    let pages: PageRanges
    private let first: UInt64
    private let blockCount: UInt64
    private let hasFastCommits: Bool
    private let primary: Primary

    /// - Returns: nothing where there is none, or it has a layout that is not known here.
    init?(_ primary: Primary) {
        guard primary.mount?.type == "ext4", primary.pageSize == 4_096, let superblock = Ext4Superblock(primary),
            superblock.isPlain, superblock.blockSize == 4_096, Self.isOfInode(superblock, primary),
            let blocks = Self.blocks(superblock, primary), let first = blocks.first
        else { return nil }
        let whole = PageRanges(blocks)
        let count = primary.geometry.pageCount
        guard blocks.allSatisfy({ $0.upperBound <= count }), whole.count == blocks.reduce(0, { $0 + UInt64($1.count) })
        else { return nil }
        self.primary = primary
        hasFastCommits = superblock.hasFastCommits
        self.first = first.lowerBound
        blockCount = whole.count
        pages = whole.subtracting(PageRanges([first.lowerBound..<first.lowerBound + 1]))
    }

    /// Whether it is surely empty, and stays so as long as the file system writes nothing.
    var isEmpty: Bool {
        guard let superblock = Ext4Superblock(primary), !superblock.needsRecovery, !superblock.hasFastCommits,
            let own = JournalSuperblock(MetadataPage(first, primary))
        else { return false }
        return own.isEmpty && own.isPlain(of: blockCount)
    }

    /// Whether the mirror has the same journal, empty, as it was some time ago: then nothing in it has a number that is
    /// still to come. Not of a journal that was made anew since, and counts from the beginning again.
    func isContinued(on mirror: MirrorDevice) -> Bool {
        guard !hasFastCommits, let own = JournalSuperblock(MetadataPage(first, primary)),
            let copied = JournalSuperblock(MetadataPage(first, of: mirror)),
            own.isPlain(of: blockCount), copied.isPlain(of: blockCount)
        else { return false }
        return copied.isEmpty && copied.identity == own.identity
            && Int32(bitPattern: own.sequence &- copied.sequence) >= 0
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

    /// All of its blocks, in order.
    private static func blocks(_ superblock: Ext4Superblock, _ primary: Primary) -> [Range<UInt64>]? {
        guard superblock.hasJournalExtents else { return nil }
        let root = Ext4ExtentNode(word: superblock.journalWord, most: 4)
        guard root.depth > 0 else { return root.extents(from: 0) }
        guard root.depth == 1, let leaves = root.leaves else { return nil }
        var result: [Range<UInt64>] = []
        for leaf in leaves {
            guard let page = MetadataPage(leaf, primary) else { return nil }
            let node = Ext4ExtentNode(word: { page.word($0 * 4) }, most: 340)
            let next = result.reduce(0) { $0 + UInt64($1.count) }
            guard node.depth == 0, let extents = node.extents(from: next) else { return nil }
            result += extents
        }
        return result
    }
}
