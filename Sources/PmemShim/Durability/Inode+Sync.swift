import CShimSys
import Synchronization

/// What ``Inode/syncWord`` says besides the count of changes, which stands above these bits.
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
        let word = pointee.syncWord.load(ordering: .acquiring)
        return word & SyncWord.valid != 0
            && word >> SyncWord.countShift
                == SyncWord.count(pointee.changes.load(ordering: .acquiring)) >> SyncWord.countShift
    }

    /// What the last kernel sync made durable; nothing if there was none, or if our process has changed the file since.
    func synced() -> SyncFacts? {
        let word = pointee.syncWord.load(ordering: .acquiring)
        guard word & (SyncWord.valid | SyncWord.busy) == SyncWord.valid,
            word >> SyncWord.countShift
                == SyncWord.count(pointee.changes.load(ordering: .acquiring)) >> SyncWord.countShift
        else { return nil }
        let facts = SyncFacts(
            size: pointee.syncSize.load(ordering: .acquiring), blocks: pointee.syncBlocks.load(ordering: .acquiring),
            ctime: pointee.syncTime.load(ordering: .acquiring), isFull: word & SyncWord.full != 0,
            isSettled: word & SyncWord.settled != 0)
        return pointee.syncWord.load(ordering: .acquiring) == word ? facts : nil
    }

    /// A kernel sync has succeeded that began when the file was as `facts` say and our changes were `changes`.
    func publish(_ facts: SyncFacts, changes: UInt64) {
        guard begin() else { return }
        pointee.syncSize.store(facts.size, ordering: .relaxed)
        pointee.syncBlocks.store(facts.blocks, ordering: .relaxed)
        pointee.syncTime.store(facts.ctime, ordering: .relaxed)
        let flags = (facts.isFull ? SyncWord.full : 0) | (facts.isSettled ? SyncWord.settled : 0)
        pointee.syncWord.store(SyncWord.count(changes) | SyncWord.valid | flags, ordering: .releasing)
    }

    /// A write of ours that needs no sync has moved the ctime. Nothing is known of what else is new in the inode.
    /// `word`: ``Inode/syncWord`` before the write. False: it is another now.
    func publish(ctime: Int64, since word: UInt64) -> Bool {
        let plain = word & ~(SyncWord.full | SyncWord.settled)
        if word == plain, ctime == pointee.syncTime.load(ordering: .relaxed) {
            return pointee.syncWord.load(ordering: .acquiring) == word
        }
        let (taken, _) = pointee.syncWord.compareExchange(
            expected: word, desired: word | SyncWord.busy, ordering: .acquiringAndReleasing)
        guard taken else { return false }
        pointee.syncTime.store(ctime, ordering: .relaxed)
        pointee.syncWord.store(plain, ordering: .releasing)
        return true
    }

    private func begin() -> Bool {
        let word = pointee.syncWord.load(ordering: .relaxed)
        guard word & SyncWord.busy == 0 else { return false }
        return pointee.syncWord.compareExchange(
            expected: word, desired: word | SyncWord.busy, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
