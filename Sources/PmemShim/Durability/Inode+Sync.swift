import CShimSys
import Synchronization

/// What ``SyncedState/word`` says besides the count of changes, which stands above these bits.
enum SyncWord {
    static let valid: UInt64 = 1
    static let full: UInt64 = 2
    static let settled: UInt64 = 4
    /// Somebody is changing the facts. One who never ends it, because a handler jumped out of him, leaves the inode
    /// without facts for good: every sync is the kernel's then.
    static let busy: UInt64 = 8
    static let countShift: UInt64 = 8

    static func count(_ changes: UInt64) -> UInt64 { changes << countShift }
}

extension UnsafeMutablePointer where Pointee == Inode {
    /// Whether ``synced()`` may have an answer.
    @inline(__always)
    var isSynced: Bool {
        let word = pointee.synced.word.load(ordering: .acquiring)
        return word & SyncWord.valid != 0
            && word >> SyncWord.countShift
                == SyncWord.count(pointee.changes.load(ordering: .acquiring)) >> SyncWord.countShift
    }

    /// What the last kernel sync made durable; nothing if there was none, or if our process has changed the file since.
    func synced() -> SyncFacts? {
        let word = pointee.synced.word.load(ordering: .acquiring)
        guard word & (SyncWord.valid | SyncWord.busy) == SyncWord.valid,
            word >> SyncWord.countShift
                == SyncWord.count(pointee.changes.load(ordering: .acquiring)) >> SyncWord.countShift
        else { return nil }
        let facts = SyncFacts(
            size: pointee.synced.size.load(ordering: .acquiring),
            blocks: pointee.synced.blocks.load(ordering: .acquiring),
            ctime: pointee.synced.time.load(ordering: .acquiring), isFull: word & SyncWord.full != 0,
            isSettled: word & SyncWord.settled != 0)
        return pointee.synced.word.load(ordering: .acquiring) == word ? facts : nil
    }

    /// A kernel sync has succeeded that began when the file was as `facts` say and our changes were `changes`.
    func publish(_ facts: SyncFacts, changes: UInt64) {
        guard begin() else { return }
        pointee.synced.size.store(facts.size, ordering: .relaxed)
        pointee.synced.blocks.store(facts.blocks, ordering: .relaxed)
        pointee.synced.time.store(facts.ctime, ordering: .relaxed)
        let flags = (facts.isFull ? SyncWord.full : 0) | (facts.isSettled ? SyncWord.settled : 0)
        pointee.synced.word.store(SyncWord.count(changes) | SyncWord.valid | flags, ordering: .releasing)
    }

    /// A write of ours that needs no sync has moved the ctime. Nothing is known of what else is new in the inode.
    /// `word`: ``SyncedState/word`` before the write. False: it is another now.
    func publish(ctime: Int64, since word: UInt64) -> Bool {
        let plain = word & ~(SyncWord.full | SyncWord.settled)
        if word == plain, ctime == pointee.synced.time.load(ordering: .relaxed) {
            return pointee.synced.word.load(ordering: .acquiring) == word
        }
        let (taken, _) = pointee.synced.word.compareExchange(
            expected: word, desired: word | SyncWord.busy, ordering: .acquiringAndReleasing)
        guard taken else { return false }
        pointee.synced.time.store(ctime, ordering: .relaxed)
        pointee.synced.word.store(plain, ordering: .releasing)
        return true
    }

    private func begin() -> Bool {
        let word = pointee.synced.word.load(ordering: .relaxed)
        guard word & SyncWord.busy == 0 else { return false }
        return pointee.synced.word.compareExchange(
            expected: word, desired: word | SyncWord.busy, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
