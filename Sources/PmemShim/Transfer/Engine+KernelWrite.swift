import CShimSys
import Synchronization

/// Writes that the kernel does: what is to be known before it, and what is to be noted after.
extension Engine {
    /// A positioned write that is the kernel's. With one thread the next libc symbol does it; with more it is done
    /// here, alone in its stripes: natively two writers of one inode never mix, so a copy of ours must not mix with it.
    /// (``implicitWrite(_:_:)`` does the same with the place it claims.)
    func kernelWrite<Buffer: TransferBuffer>(
        _ target: Target, _ buffer: Buffer, _ offset: Int64, _ outcome: ps_outcome
    ) -> Int64 {
        let tick = noteKernelWrite(target, outcome)
        if outcome == PS_OUTCOME_TICK { sampleTickWrite(target, offset) }
        if outcome == PS_OUTCOME_FAULT { relearn(target) }
        let durable = target.word.has(DescriptorWord.durable)
        let isWatched = durable && target.inode.pointee.base.load(ordering: .relaxed) != 0
        guard
            mayMeetCopies(target, offset, buffer.count) || (isWatched && isInside(target, offset, buffer.count))
                || (Buffer.isReadOnce && outcome == PS_OUTCOME_FAULT)
        else { return passOn(target, outcome, offset, buffer.count, tick: tick) }
        guard let call = target.thread.enter() else {
            return passOn(target, outcome, offset, buffer.count, tick: tick)
        }
        let stripes = Stripes(offset, buffer.count)
        let alone = stripes.claim(self, target.inode, call)
        let before = durable ? syncedBefore(target, outcome, offset, buffer.count) : nil
        let result = buffer.kernelWrite(target.fd, at: offset)
        if alone { stripes.release(self, target.inode) }
        call.leave()
        if durable { kernelHasWritten(target, before, from: offset, to: offset &+ Int64(result)) }
        target.count(outcome)
        if result < 0 { kernelRefuses(Int64(result)) }
        if result > 0 {
            target.inode.noteStamp(tick)
            noteGrowth(target.inode, target.fd, from: offset, to: offset &+ Int64(result), isWrite: true)
            noteWritten(target.inode, target.fd, from: offset, to: offset &+ Int64(result))
            target.thread.passed(target.geometry.statistics, written: Int64(result))
        }
        return Int64(result)
    }

    /// Whether a write that is the kernel's may meet a copy of another thread's: also where there is no window yet,
    /// since one may come while the kernel is writing. Before the first of the process nobody may announce a call: it
    /// takes the handler of our signals, which comes with that window.
    @inline(__always)
    func mayMeetCopies(_ target: Target, _ offset: Int64, _ count: Int) -> Bool {
        !ps_single_threaded() && isInside(target, offset, count) && !target.inode.has(InodeFlag.refused)
            && root.pointee.windowsExisted.load(ordering: .acquiring) != 0
    }

    @inline(__always)
    func isInside(_ target: Target, _ offset: Int64, _ count: Int) -> Bool {
        offset >= 0 && count > 0 && target.word.has(DescriptorWord.writes)
            && offset < target.inode.pointee.size.load(ordering: .relaxed)
    }

    /// A write of which nothing is looked at here, from a thread that must not copy where it is.
    @inline(never)
    func leftToKernel(_ target: Target, _ count: Int) -> Int64 {
        passOn(target, PS_OUTCOME_COLD, -1, count, tick: noteKernelWrite(target, PS_OUTCOME_COLD))
    }

    /// The kernel is about to stamp the inode for us; reads owe it one look afterwards, for relatime. Returns the tick
    /// it will be known to be stamped in once the write has moved something; 0: extending writes do not look at the
    /// clock. Whoever appends rarely overwrites in the same tick, and it is not to cost him anything.
    func noteKernelWrite(_ target: Target, _ outcome: ps_outcome) -> Int64 {
        // Once a tick is when we look after what others do.
        if outcome == PS_OUTCOME_TICK {
            lookAtSynchrony(target)
            weighWriteFaults(target)
            if ps_sys_file_size_limited() {
                // Another process has limited this one (prlimit).
                ps_set_given_way(UInt32(PS_GIVE_WAY_FILE_SIZE.rawValue), 0)
                target.inode.updateLimits()
            }
        }
        let tick = outcome == PS_OUTCOME_END || outcome == PS_OUTCOME_APPEND ? 0 : ps_sys_coarse_now()
        let isDurable = target.word.has(DescriptorWord.durable)
        let flags = target.inode.pointee.flags.load(ordering: .relaxed)
        if !target.inode.areReadsTold(flags, isDurable: isDurable) {
            if !isDurable { target.inode.pointee.toldTick = ps_sys_coarse_now() }
            target.inode.set(InodeFlag.timesDue)
            target.inode.pointee.readLimit.store(0, ordering: .relaxed)
        }
        return tick
    }

    /// The range that was claimed cannot be served after all, or not be written by the next libc symbol: the kernel
    /// writes there, and the call is alone in its stripes.
    @inline(never)
    func claimedWrite<Buffer: TransferBuffer>(
        _ target: Target, _ claim: Claim, _ buffer: Buffer, _ outcome: ps_outcome
    ) -> Int64 {
        let start = claim.start
        let tick = noteKernelWrite(target, outcome)
        guard claim.isKept(target) else { return passOn(target, outcome, -1, buffer.count, tick: tick) }
        let durable = target.word.has(DescriptorWord.durable)
        let stripes = Stripes(start, buffer.count)
        let alone = stripes.claim(self, target.inode, claim.call)
        let before = durable ? syncedBefore(target, outcome, start, buffer.count) : nil
        let result = buffer.kernelWrite(target.fd, at: start)
        if alone { stripes.release(self, target.inode) }
        if durable { kernelHasWritten(target, before, from: start, to: start &+ Int64(result)) }
        let moved = Int64(max(result, 0))
        claim.end(self, target, moved: moved)
        if outcome == PS_OUTCOME_FAULT { relearn(target) }
        if moved > 0 {
            target.inode.noteStamp(tick)
            noteGrowth(target.inode, target.fd, from: start, to: start &+ moved, isWrite: true)
            noteWritten(target.inode, target.fd, from: start, to: start &+ moved)
        }
        target.count(outcome)
        target.thread.passed(target.geometry.statistics, written: moved)
        if result < 0 { kernelRefuses(Int64(result)) }
        return Int64(result)
    }
}
