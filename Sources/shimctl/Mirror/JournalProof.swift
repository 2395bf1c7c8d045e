import PmemShim

/// Whether ext4 has changed any of its own data since the mirror's state. All of it goes through its journal, and each
/// transaction raises the number in the journal's superblock (s_sequence, fs/jbd2): the same number on both sides,
/// while the file system stands still, means that there was none. xfs has no such number: freezing it is a transaction.
enum JournalProof {
    static func isUnchanged(_ devices: MirrorSet) -> Bool {
        let primary = devices.primary
        guard let type = primary.mount?.type, type == "ext4" || type == "ext3",
            let superblock = Ext4Superblock(primary), !superblock.isMultiple, let place = superblock.journal
        else { return false }
        let (page, offset) = place.quotientAndRemainder(dividingBy: primary.pageSize)
        guard let own = MetadataPage(page, primary).flatMap({ sequence($0, Int(offset)) }),
            let copied = MetadataPage(page, of: devices.mirror).flatMap({ sequence($0, Int(offset)) })
        else { return false }
        return own == copied
    }

    /// Of an empty journal: what lies in it has been written home. Big-endian words: the magic number at 0, the kind of
    /// block at 4 (3 or 4: a superblock), the number of the next transaction at 24, the start of the log at 28.
    private static func sequence(_ page: MetadataPage, _ place: Int) -> UInt32? {
        func word(_ offset: Int) -> UInt32 { page.word(place + offset).byteSwapped }
        guard word(0) == 0xc03b_3998, (3...4).contains(word(4)), word(28) == 0 else { return nil }
        return word(24)
    }
}
