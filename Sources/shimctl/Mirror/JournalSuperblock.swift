/// The first block of a journal (struct journal_superblock_s, fs/jbd2): big-endian words.
struct JournalSuperblock {
    private let page: MetadataPage
    private let place: Int

    /// - Parameter place: where in the page it begins, bytes.
    /// - Returns: nothing where there is none.
    init?(_ page: MetadataPage?, at place: Int = 0) {
        guard let page else { return nil }
        self.page = page
        self.place = place
        // Magic number, kind of block.
        guard word(0) == 0xc03b_3998, (3...4).contains(word(4)) else { return nil }
    }

    /// What lies in it has been written to its place, and no error met: where the log begins, and the error.
    var isEmpty: Bool { word(28) == 0 && word(32) == 0 }
    /// Number of the next transaction, where it is empty; otherwise of one before.
    var sequence: UInt32 { word(24) }
    /// Of the file system that it is of.
    var identity: [UInt32] { stride(from: 48, to: 64, by: 4).map(word) }

    /// Whether it is of version 2, has so many blocks of 4 KiB, all but the first of which are its log, and none of
    /// them fast commits.
    func isPlain(of blockCount: UInt64) -> Bool {
        word(4) == 4 && word(12) == 4_096 && UInt64(word(16)) == blockCount && word(20) == 1 && word(40) & 0x20 == 0
    }

    private func word(_ offset: Int) -> UInt32 { page.word(place + offset).byteSwapped }
}
