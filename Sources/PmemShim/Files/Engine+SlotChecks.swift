#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    extension Engine {
        /// What holds of one slot in use. `base`, `length`, `source` and *writable* change only under the lock, and
        /// only together.
        ///
        /// Limits are hints: threads set them without the lock, from a window that may be gone when they do
        /// (``Inode``). What always holds of them is that none is below 0, which the served path would take for a very
        /// large number. With `limitsAreExact` they also agree with the window.
        func slotViolation(_ held: LockHeld, _ index: UInt32, limitsAreExact: Bool) -> Violation? {
            let inode = inode(index)
            let slot = Int(index)
            let base = inode.pointee.base.load(ordering: .relaxed)
            let length = inode.pointee.length.load(ordering: .relaxed)
            let reads = inode.pointee.readLimit.load(ordering: .relaxed)
            let writes = inode.pointee.writeLimit.load(ordering: .relaxed)
            guard reads >= 0, writes >= 0 else { return Violation("a limit is below 0", slot, min(reads, writes)) }
            guard inode.pointee.size.load(ordering: .relaxed) >= 0 else { return Violation("a size is below 0", slot) }
            guard inode.pointee.mount < mounts(held).pointee.mounts else {
                return Violation("a slot is of a mount that is not known", slot, Int64(inode.pointee.mount))
            }
            if base == 0 {
                guard length == 0 else { return Violation("there is a length without a window", slot, length) }
                guard inode.pointee.source == -1 else {
                    return Violation("there is a source without a window", slot, Int64(inode.pointee.source))
                }
                guard !inode.has(InodeFlag.writable) else { return Violation("no window, and writable", slot) }
                guard !limitsAreExact || (reads == 0 && writes == 0) else {
                    return Violation("there is a limit without a window", slot, max(reads, writes))
                }
                return nil
            }
            guard base & 4_095 == 0, length > 0, length & 4_095 == 0 else {
                return Violation("a window is not of whole pages", slot, length)
            }
            let probeBase = inode.pointee.probeBase.load(ordering: .relaxed)
            guard probeBase == base || probeBase == base &+ UInt(length) else {
                return Violation("end probes are made elsewhere than in or behind the window", slot)
            }
            guard !limitsAreExact || max(reads, writes) < length else {
                return Violation("a limit lies beyond the window", slot, max(reads, writes))
            }
            if probeBase != base {
                let page = inode.pointee.readableProbe
                guard page >= 0, page <= length &- 4_096 else {
                    return Violation("the page for probes lies outside of the window", slot, page)
                }
                guard !limitsAreExact || ((reads == 0 || reads == page) && (writes == 0 || writes == page)) else {
                    return Violation("a limit is not where end probes can be made", slot, max(reads, writes))
                }
            }
            guard writes == 0 || !limitsAreExact || inode.has(InodeFlag.writable) else {
                return Violation("writes are served to a window that is read-only", slot, writes)
            }
            return nil
        }

        /// Whether limits must agree with windows: as long as the process has had one thread only, and no signal
        /// handler has given a lock back in the middle of an update of limits, which may then store what it has worked
        /// out from a window that is gone. From such a moment on nothing is known of them for good.
        func limitsAreExact(_ held: LockHeld) -> Bool {
            if !ps_single_threaded() || checks.pointee.limitUpdates.load(ordering: .relaxed) != 0 {
                checks.pointee.limitsMayBeStale = true
            }
            return !checks.pointee.limitsMayBeStale
        }
    }
#endif
