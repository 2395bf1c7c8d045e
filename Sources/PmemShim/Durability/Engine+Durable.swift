import CShimSys
import Synchronization

/// Before a write of ours that the kernel does: what the last sync left, if the inode is still as it was then.
struct SyncedBefore {
    fileprivate let word: UInt64
    fileprivate let facts: SyncFacts
    /// The clock tick before the inode was looked at.
    fileprivate let tick: Int64
    fileprivate var isStamped: Bool { facts.ctime == tick }
}

extension Engine {
    /// Whether what the last sync left still holds, asked just before the kernel overwrites [start, start + count) of
    /// the file for us: the stamp it sets will hide what others have changed until now.
    ///
    /// Where the ctime is of this very clock tick already, the write does not move it, and nothing need be asked.
    /// (Linux 6.13 and later moves it all the same once somebody has looked; then the next sync finds another ctime.)
    ///
    /// Small writes cost two looks each in this way (1,200 instructions), and what is won by that is the kernel's part
    /// of one sync (1,700): after two without a sync it is left to the kernel.
    func syncedBefore(_ target: Target, _ outcome: ps_outcome, _ start: Int64, _ count: Int) -> SyncedBefore? {
        switch outcome {
        case PS_OUTCOME_TICK, PS_OUTCOME_SMALL, PS_OUTCOME_END, PS_OUTCOME_BUSY: break
        default: return nil
        }
        let word = target.inode.pointee.synced.word.load(ordering: .acquiring)
        guard let known = target.inode.synced(), start >= 0, start <= known.size,
            Int64(count) <= known.size &- start
        else { return nil }
        if outcome != PS_OUTCOME_TICK {
            guard !target.inode.has(InodeFlag.renewedTwice) else { return nil }
            target.inode.set(
                target.inode.has(InodeFlag.renewed) ? InodeFlag.renewedTwice : InodeFlag.renewed)
        }
        let before = SyncedBefore(word: word, facts: known, tick: ps_sys_coarse_now())
        if !before.isStamped, Settings.current.pointee.exclusive == 0 {
            var facts = ps_sync_facts()
            guard ps_sys_sync_facts(target.fd, &facts) == 0, isOf(target.inode, facts), known.hold(facts) else {
                return nil
            }
        }
        return before
    }

    /// The kernel has written [start, end) for us. Where it was an overwrite that began with everything synced, its
    /// bytes are made durable at once, so that it leaves nothing for a sync to do; else the next sync is the kernel's.
    ///
    /// The kernel's copy does not go through the caches either, but the space it went to may be allocated only in the
    /// journal: a store through the window, which changes nothing, makes the kernel commit that, or finds it committed.
    /// The store is a page fault, 6,000 instructions, and a page that the next sync of the kernel flushes. A write by
    /// O_DSYNC or O_SYNC needs none: its space is committed when it returns.
    func kernelHasWritten(_ target: Target, _ before: SyncedBefore?, from start: Int64, to end: Int64) {
        guard let before, start >= 0, end > start else { return target.inode.noteKernelChange() }
        // Another thread may have given the number to a description without the flag.
        if target.word.has(DescriptorWord.syncs), target.mayClaim() {
            guard renewed(target, before) else { return target.inode.noteKernelChange() }
            return
        }
        guard let between = lookedAgain(target, before), makeDurable(target, from: start, to: end),
            renewed(target, between)
        else { return target.inode.noteKernelChange() }
    }

    /// Where the tick of the look before the write is over: one more look, before the store, which sets a stamp of its
    /// own, so that each of the two is between looks. Nothing: somebody else may have changed the inode.
    private func lookedAgain(_ target: Target, _ before: SyncedBefore) -> SyncedBefore? {
        let tick = ps_sys_coarse_now()
        guard tick != before.tick else { return before }
        guard let seen = looked(target, before) else { return nil }
        var facts = before.facts
        facts.ctime = seen.ctime
        return SyncedBefore(word: before.word, facts: facts, tick: tick)
    }

    private func looked(_ target: Target, _ before: SyncedBefore) -> ps_sync_facts? {
        var facts = ps_sync_facts()
        guard ps_sys_sync_facts(target.fd, &facts) == 0, isOf(target.inode, facts),
            before.facts.holdButForStamp(
                facts, tick: before.tick, now: ps_sys_coarse_now(),
                isAlone: Settings.current.pointee.exclusive != 0)
        else { return nil }
        return facts
    }

    private func renewed(_ target: Target, _ before: SyncedBefore) -> Bool {
        if before.isStamped, before.tick == ps_sys_coarse_now() {
            return target.inode.publish(ctime: before.facts.ctime, since: before.word)
        }
        guard let seen = looked(target, before) else { return false }
        return target.inode.publish(ctime: seen.ctime, since: before.word)
    }

    /// Makes what is in [start, end) of the file durable, if the window reaches that far. False: it does not.
    private func makeDurable(_ target: Target, from start: Int64, to end: Int64) -> Bool {
        guard target.inode.has(InodeFlag.synchronous), target.inode.has(InodeFlag.writable),
            let call = target.thread.enter()
        else { return false }
        defer { call.leave() }
        // The probe is the last byte of the range itself: it may lie in the page the file ends in.
        guard let range = target.prove(start, limit: end &- 1) else { return false }
        let count = UInt(bitPattern: Int(end &- start))
        var at = range.start
        while at < range.start &+ count {
            if ps_touch(at) != 0 { return false }
            at = (at | 0xfff) &+ 1
        }
        // A window that was let go of meanwhile and mapped anew in its place, without MAP_SYNC, promises nothing.
        return ps_flush_durably(range.start, Int(count)) == 0 && ps_probe(range.probe) == 0 && call.goesOn
            && target.inode.has(InodeFlag.synchronous)
    }
}
