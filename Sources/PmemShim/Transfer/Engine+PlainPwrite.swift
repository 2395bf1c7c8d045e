import CShimSys
import Synchronization

extension Engine {
    /// Passes on a pwrite that is one of many which the kernel does in any case, and for which all is arranged already:
    /// an extension exactly at the end of the file, or an overwrite that is too short to be served (`isShort`), or on
    /// DAX and in a region that is not hot, or of a file that is better written by the kernel (``SyncCost``). True: it
    /// is one, and has been counted. Decides like `whyNotWrite` and `foresee`, which do the same for all others, at a
    /// third of the instructions: what is not served must not cost more than it does natively.
    ///
    /// It counts as no stamp of the inode, which saves a look at the clock: the next served write of the tick takes one
    /// more way through the kernel.
    ///
    /// On DAX the next sync must know of it. That is said before the kernel has written, as nobody but a signal handler
    /// could sync in between. For extensions see ``mayNoteBefore``. Of an overwrite nothing would be missing even then:
    /// the space there is known to have been written, so only times change, and the kernel's copy goes past the caches.
    func tryPlainPwrite(_ fd: Int32, _ count: Int, _ offset: Int64, isShort: Bool) -> Bool {
        guard ps_single_threaded(), ps_given_way() == 0, count > 0, count < 1 << 30, let descriptor = descriptor(fd)
        else { return false }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        let refused = DescriptorWord.suspect | DescriptorWord.appends | DescriptorWord.syncs
        guard word.has(DescriptorWord.ours | DescriptorWord.writes, without: refused) else { return false }
        let inode = inode(word.inode)
        let flags = inode.pointee.flags.load(ordering: .relaxed)
        let size = inode.pointee.size.load(ordering: .relaxed)
        // Reads of a file with a window must know that the kernel has written: the first write has told them.
        let isDurable = word.has(DescriptorWord.durable)
        guard inode.areReadsTold(flags, isDurable: isDurable),
            flags & (InodeFlag.sparse | InodeFlag.unverified | InodeFlag.bad) == 0, offset >= 0,
            Int64(count) <= size &- offset || offset == size
        else { return false }
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        let isAloof = flags & InodeFlag.aloof != 0 && (isDurable || inode.pointee.isResting)
        let isCold = isDurable && !isShort && inode.heat(offset, geometry) < geometry.threshold
        guard offset == size || isShort || isAloof || (isCold && inode.pointee.base.load(ordering: .relaxed) != 0)
        else { return false }
        if isDurable {
            // The first two overwrites after a sync leave it nothing to do: ``syncedBefore(_:_:_:_:)``.
            let mayNote =
                offset == size
                ? mayNoteBefore
                : (isCold || isAloof || flags & InodeFlag.renewedTwice != 0 || !inode.isSynced)
                    && inode.isReady(offset, count, geometry)
            guard mayNote else { return false }
        }
        guard let thread = currentThread() else { return false }
        if isDurable {
            if offset == size || (isCold && !isAloof && mayNoteBefore) {
                if flags & InodeFlag.unreported == 0 { inode.set(InodeFlag.unreported) }
            } else {
                inode.noteKernelChange()
            }
        }
        if offset == size { inode.raiseSize(to: size &+ Int64(count)) }
        if isCold { inode.warm(offset, count, thread) }
        let others = isAloof && !isDurable ? PS_OUTCOME_BACKING : PS_OUTCOME_COLD
        let outcome = offset == size ? PS_OUTCOME_END : isShort ? PS_OUTCOME_SMALL : others
        thread.count(geometry.statistics, PS_FAMILY_PWRITE, outcome)
        thread.passed(geometry.statistics, written: Int64(count))
        let state = ps_thread_current()
        state.pointee.pending_offset = offset
        state.pointee.pending_tick = 0
        state.pointee.pending_count = Int64(count)
        state.pointee.pending = PS_PENDING_SHORT.rawValue
        return true
    }
}
