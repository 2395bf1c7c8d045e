import CShimSys

/// What a kernel sync of an inode has made durable, and so what must still hold for the next one to be left out.
///
/// The decision of conditions (b) and (c) of docs/durability.md, as values: no system call, no shared memory. Condition
/// (a), that this process has done a kernel sync at all, is that there are facts of one.
struct SyncFacts: Equatable {
    /// Bytes. What is served below it needs no new size to be found again.
    var size: Int64
    /// Of 512 bytes: space that was allocated or given up since shows here, whatever the clock says.
    var blocks: Int64
    /// ns since the epoch.
    var ctime: Int64
    /// The sync was an fsync: everything there is of the inode is durable, not only what finds the data.
    var isFull: Bool
    /// When the sync began, the clock tick of `ctime` was over, so that every later change has another ctime. In the
    /// tick itself a change may leave the ctime as it is.
    var isSettled: Bool

    /// `tick`: ``ps_sys_coarse_now()`` before `facts` were asked for, which was before the sync.
    init(_ facts: ps_sync_facts, isFull: Bool, tick: Int64) {
        self.init(
            size: facts.size, blocks: facts.blocks, ctime: facts.ctime, isFull: isFull, isSettled: facts.ctime < tick)
    }

    init(size: Int64, blocks: Int64, ctime: Int64, isFull: Bool, isSettled: Bool) {
        self.size = size
        self.blocks = blocks
        self.ctime = ctime
        self.isFull = isFull
        self.isSettled = isSettled
    }

    /// Whether the inode, which is now as `seen`, has stayed as the sync left it.
    func hold(_ seen: ps_sync_facts) -> Bool {
        seen.size == size && seen.blocks == blocks && seen.ctime == ctime
    }

    /// Whether the inode, which is `seen` after an overwrite of ours, is as it was, but for the ctime that the
    /// overwrite has set.
    ///
    /// `tick`: the time before the look that found it as here; `now`: the time after `seen`. A ctime tells only that
    /// somebody has changed the inode, once or often. So it is taken for ours where the write and both looks were in
    /// one tick: a process that was stopped between them must not take all that was done in that time for its own. What
    /// others did in that tick is as hidden as it is after our stamp (docs/durability.md). Where the stamp is of the
    /// tick of the first look, or the one that was there before, nobody has changed anything later.
    ///
    /// `isAlone`: nobody else changes the file, as PMEMSHIM_EXCLUSIVE says.
    func holdButForStamp(_ seen: ps_sync_facts, tick: Int64, now: Int64, isAlone: Bool) -> Bool {
        seen.size == size && seen.blocks == blocks
            && (isAlone || seen.ctime == tick || seen.ctime == ctime || now == tick)
    }

    /// Whether `fdatasync` would find nothing to do; with `wholly`, whether `fsync` would.
    func cover(_ seen: ps_sync_facts, wholly: Bool) -> Bool {
        hold(seen) && (!wholly || (isFull && isSettled))
    }
}
