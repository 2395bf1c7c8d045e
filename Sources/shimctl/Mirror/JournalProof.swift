import PmemShim

/// Whether ext4 has changed any of its own data since the mirror's state. All of it goes through its journal, and each
/// transaction raises the number in the journal's superblock (s_sequence, fs/jbd2): the same number on both sides,
/// while the file system stands still, means that there was none. xfs has no such number: freezing it is a transaction.
struct JournalProof {
    private let primary: Primary
    private let mirror: MirrorDevice
    private let room: UnsafeMutableRawBufferPointer

    /// - Throws: a `Complaint` where one of the devices cannot be read.
    static func isUnchanged(_ devices: MirrorSet) throws -> Bool {
        guard let type = devices.primary.mount?.type, type == "ext4" || type == "ext3" else { return false }
        let size = Int(devices.primary.pageSize)
        let proof = JournalProof(
            primary: devices.primary, mirror: devices.mirror,
            room: .allocate(byteCount: size, alignment: 4_096))
        defer { proof.room.deallocate() }
        guard let place = try proof.journal, try devices.primary.read(proof.room, page: place / UInt64(size)),
            let own = proof.sequence(Int(place % UInt64(size)))
        else { return false }
        try devices.mirror.read(proof.room, page: place / UInt64(size))
        return proof.sequence(Int(place % UInt64(size))) == own
    }

    /// Where the journal begins, bytes: ext4's superblock keeps a copy of what the journal's inode says of its blocks
    /// (s_jnl_blocks). Nothing: not known, or something is written beside the journal.
    private var journal: UInt64? {
        get throws {
            guard try primary.read(room, page: 0) else { return nil }
            let start = 1_024
            func word(_ offset: Int) -> UInt32 { load(start + offset) }
            let hasJournal = word(0x5c) & 0x4 != 0 && word(0xe0) != 0
            // Multi-mount protection writes to a block of its own.
            let isMultiple = word(0x60) & 0x100 != 0
            let isKept = room[start + 0xfd] == 1
            guard word(0x38) & 0xffff == 0xef53, hasJournal, !isMultiple, isKept, word(0x18) <= 6 else { return nil }
            let blockSize = UInt64(1_024) << UInt64(word(0x18))
            let blocks = 0x10c
            let end = primary.geometry.pageCount * primary.pageSize
            guard word(blocks) & 0xffff == 0xf30a else {
                let place = UInt64(word(blocks)) * blockSize
                return place < end ? place : nil
            }
            // A tree of extents, whose root is a leaf, and whose first one begins at block 0.
            guard word(blocks) >> 16 > 0, word(blocks + 4) >> 16 == 0, word(blocks + 12) == 0 else { return nil }
            let place = (UInt64(word(blocks + 16) >> 16) << 32 | UInt64(word(blocks + 20))) * blockSize
            return place < end ? place : nil
        }
    }

    /// Of an empty journal: what lies in it has been written home. Big-endian words: the magic number at 0, the kind of
    /// block at 4 (3 or 4: a superblock), the number of the next transaction at 24, the start of the log at 28.
    private func sequence(_ place: Int) -> UInt32? {
        func word(_ offset: Int) -> UInt32 { load(place + offset).byteSwapped }
        guard word(0) == 0xc03b_3998, (3...4).contains(word(4)), word(28) == 0 else { return nil }
        return word(24)
    }

    private func load(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: room.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
