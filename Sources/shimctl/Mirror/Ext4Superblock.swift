import PmemShim

/// What is asked of ext4's superblock (struct ext4_super_block), which begins at byte 1,024 of the data area.
struct Ext4Superblock {
    private let page: MetadataPage

    /// - Returns: nothing where the first page cannot be read, or holds another file system.
    init?(_ primary: Primary) {
        guard let page = MetadataPage(0, primary) else { return nil }
        self.page = page
        guard half(0x38) == 0xef53, word(0x18) <= 6 else { return nil }
    }

    /// Bytes.
    var blockSize: UInt64 { 1_024 << UInt64(word(0x18)) }
    var blocksPerGroup: UInt64 { UInt64(word(0x20)) }
    /// Block numbers have 64 bits.
    var isWide: Bool { word(0x60) & 0x80 != 0 }
    /// Bytes of a group's descriptor.
    var descriptorSize: UInt64 { isWide ? UInt64(half(0xfe)) : 32 }
    /// All descriptors follow the superblock (no meta_bg), and a bit of a bitmap is a block (no bigalloc).
    var isPlain: Bool { word(0x60) & 0x10 == 0 && word(0x64) & 0x200 == 0 }
    /// Multi-mount protection writes to a block of its own.
    var isMultiple: Bool { word(0x60) & 0x100 != 0 }
    var hasInternalJournal: Bool { word(0x5c) & 0x4 != 0 && word(0xe0) != 0 }

    /// Where the journal begins, bytes: a copy of what its inode says of its blocks is kept here (s_jnl_blocks).
    /// Nothing: it is not, or says so in a way that is not known here.
    var journal: UInt64? {
        guard hasInternalJournal, half(0xfc) >> 8 == 1 else { return nil }
        let root = Ext4ExtentNode(word: journalWord, most: 4)
        guard root.isNode else { return UInt64(journalWord(0)) * blockSize }
        guard root.depth == 0, let first = root.extents(from: 0)?.first else { return nil }
        return first.lowerBound * blockSize
    }

    /// What is kept here of the journal's blocks is a tree of extents.
    var hasJournalExtents: Bool { hasInternalJournal && word(0xe0) == 8 && half(0xfc) >> 8 == 1 }

    /// A word of what the journal's inode says of its blocks (i_block).
    func journalWord(_ index: Int) -> UInt32 { word(0x10c + index * 4) }

    /// Bytes.
    var inodeSize: UInt64 { UInt64(half(0x58)) }
    /// Its journal holds what has not been written to its place.
    var needsRecovery: Bool { word(0x60) & 0x4 != 0 }
    /// A part of the journal has another form (fast_commit).
    var hasFastCommits: Bool { word(0x5c) & 0x400 != 0 }

    private func word(_ offset: Int) -> UInt32 { page.word(1_024 + offset) }
    private func half(_ offset: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: word(offset & ~3) >> (UInt32(offset & 2) * 8))
    }
}

/// A page of the device, as it is there.
final class MetadataPage {
    private let bytes: UnsafeMutableRawBufferPointer

    /// - Returns: nothing where there is none, or it cannot be read.
    init?(_ number: UInt64, _ primary: Primary) {
        bytes = .allocate(byteCount: Int(primary.pageSize), alignment: 4_096)
        guard number < primary.geometry.pageCount, (try? primary.read(bytes, page: number)) == true else { return nil }
    }

    /// - Returns: nothing where the mirror cannot be read.
    init?(_ number: UInt64, of mirror: MirrorDevice) {
        bytes = .allocate(byteCount: Int(mirror.pageSize), alignment: 4_096)
        guard number < mirror.geometry.pageCount, (try? mirror.read(bytes, page: number)) != nil else { return nil }
    }

    deinit { bytes.deallocate() }

    /// Little-endian.
    func word(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
