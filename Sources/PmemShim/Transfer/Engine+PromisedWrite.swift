import CShimSys
import Synchronization

extension Engine {
    /// What a served write on DAX owes beyond its copy, which was durable when it ended: what O_DSYNC and O_SYNC
    /// promise besides. False: the kernel must be asked; it does the whole write again, with all that the description
    /// promises.
    func honourSyncFlags(_ target: Target) -> Bool {
        guard target.word.has(DescriptorWord.syncs) else { return true }
        return keeps(target, wholly: target.word.has(DescriptorWord.wholly))
    }

    /// Whether a write with these RWF_* flags may be served: it is on DAX and asks to be durable, and for nothing else.
    func mayPromise(_ target: Target, _ flags: Int32) -> Bool {
        let known = CallFlag.highPriority | CallFlag.dataSync | CallFlag.sync
        return target.word.has(DescriptorWord.durable) && flags & ~known == 0
    }

    /// pwritev2 with RWF_DSYNC or RWF_SYNC: an overwrite, and what a sync after it would do. Where either cannot be had
    /// here, the whole call is the kernel's, with its flags.
    func promisedWrite(_ target: Target, _ buffer: Vector, _ offset: Int64, _ flags: Int32) -> Int64 {
        let limit = target.inode.pointee.writeLimit.load(ordering: .relaxed)
        var outcome = PS_OUTCOME_FLAGS
        if buffer.isServedLength, target.looksServable(offset, buffer.count, limit: limit),
            target.word.has(DescriptorWord.writes), isReady(target, offset, buffer.count), isTickTaken(target)
        {
            outcome = overwritten(target, buffer, offset, limit)
            if outcome == PS_OUTCOME_SERVED, keeps(target, wholly: flags & CallFlag.sync != 0) {
                return Int64(buffer.count)
            }
        }
        let tick = ps_sys_coarse_now()
        target.inode.warm(offset, buffer.count, target.thread)
        let result = passOn(target, PS_OUTCOME_FLAGS, offset, buffer.count, tick: tick)
        guard outcome == PS_OUTCOME_FAULT || outcome == PS_OUTCOME_SERVED else { return result }
        // The array may be another by now: the kernel gets what was read of it.
        let moved = Int64(buffer.kernelWrite(target.fd, at: offset, flags: flags))
        passedOn(target.fd, target.family, moved)
        return moved
    }

    /// Does what a sync would. False: it failed, or the kernel must do it.
    private func keeps(_ target: Target, wholly: Bool) -> Bool {
        let result = syncDAX(target, wholly: wholly).result
        return result == 0 || (result == passOnResult && ps_sys_sync(target.fd, !wholly) == 0)
    }
}
