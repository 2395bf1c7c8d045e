import CShimSys
import Synchronization

extension Engine {
    /// fsync and fdatasync, by backing:
    ///
    /// - memory: nothing to do. The file is memory and nothing else; the kernel's own fsync of tmpfs does nothing.
    /// - dax: nothing to do either where what a kernel sync would make durable is durable already, see
    ///   ``syncDAX(_:wholly:)``.
    /// - page cache: the kernel's, which also writes back what was stored through a window: the page tables tell it
    ///   which pages are dirty.
    func sync(_ target: Target) -> Int64 {
        let backing = mount(target.inode.pointee.mount).pointee.backing
        if backing == PS_BACKING_MEMORY, target.family != PS_FAMILY_SYNC_FILE_RANGE {
            target.count(PS_OUTCOME_SERVED)
            return 0
        }
        guard backing == PS_BACKING_DAX, target.family != PS_FAMILY_SYNC_FILE_RANGE else {
            target.count(PS_OUTCOME_BACKING)
            return passOnResult
        }
        if target.inode.has(InodeFlag.renewed) {
            target.inode.clear(InodeFlag.renewed | InodeFlag.renewedTwice)
        }
        // A file that is only ever extended, or not hot yet, pays for no look: its sync is the kernel's in any case.
        if target.inode.has(InodeFlag.unreported) {
            target.inode.clear(InodeFlag.unreported)
            target.inode.noteKernelChange()
            target.count(PS_OUTCOME_END)
            return passOnResult
        }
        let (result, outcome) = syncDAX(target, wholly: target.family == PS_FAMILY_FSYNC)
        target.count(outcome)
        return result
    }

    /// The sync of a DAX file, left out where these hold (docs/durability.md has the reasons):
    ///
    /// (a) this process has done a kernel sync of the inode through a window with MAP_SYNC, and nothing through the
    /// kernel
    ///     since, but for overwrites that were made durable at once (``kernelHasWritten(_:_:from:to:)``);
    /// (b) what was served since lies below the size at that sync: the size is the same;
    /// (c) nobody else has changed the inode since: space and ctime are the same. PMEMSHIM_EXCLUSIVE takes that for
    ///     granted, for `fdatasync`.
    ///
    /// Otherwise the kernel does it, here, if there is something to be learnt from it. 0, -errno, or PS_PASS_ON.
    func syncDAX(_ target: Target, wholly: Bool) -> (result: Int64, outcome: ps_outcome) {
        let inode = target.inode
        let known = inode.synced()
        if let known, !wholly, Settings.current.pointee.exclusive != 0,
            inode.pointee.size.load(ordering: .relaxed) == known.size
        {
            return (0, PS_OUTCOME_SERVED)
        }
        guard inode.has(InodeFlag.synchronous), inode.has(InodeFlag.writable) else {
            return (passOnResult, PS_OUTCOME_BACKING)
        }
        if inode.has(InodeFlag.aloof) {
            inode.noteKernelChange()
            noteKernelSync(target)
            return (passOnResult, PS_OUTCOME_BUSY)
        }
        // In this order: what happens after the look at each is taken for not covered by the sync.
        let changes = inode.pointee.changes.load(ordering: .acquiring)
        let tick = ps_sys_coarse_now()
        var facts = ps_sync_facts()
        guard ps_sys_sync_facts(target.fd, &facts) == 0, isOf(inode, facts) else {
            return (passOnResult, PS_OUTCOME_BACKING)
        }
        if let known, known.cover(facts, wholly: wholly) { return (0, PS_OUTCOME_SERVED) }
        noteKernelSync(target)
        let result = ps_sys_sync(target.fd, !wholly)
        // Asked after the sync: a mapping made meanwhile counts.
        if result == 0, inode.has(InodeFlag.synchronous), !ps_is_unseen(inode.pointee.device, inode.pointee.number) {
            inode.publish(SyncFacts(facts, isFull: wholly, tick: tick), changes: changes)
        }
        if facts.size != inode.pointee.size.load(ordering: .relaxed) { relearn(target) }
        return (Int64(result), known == nil ? PS_OUTCOME_COLD : PS_OUTCOME_TICK)
    }

    func isOf(_ inode: UnsafeMutablePointer<Inode>, _ facts: ps_sync_facts) -> Bool {
        facts.inode == inode.pointee.number && facts.device == inode.pointee.device
    }
}
