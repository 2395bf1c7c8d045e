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
        let own = JournalSuperblock(MetadataPage(page, primary), at: Int(offset))
        let copied = JournalSuperblock(MetadataPage(page, of: devices.mirror), at: Int(offset))
        guard let own, let copied, own.isEmpty, copied.isEmpty else { return false }
        return own.sequence == copied.sequence
    }
}
