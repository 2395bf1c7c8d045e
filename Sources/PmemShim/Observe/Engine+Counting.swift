import CShimSys
import Synchronization

// Where threads count, and when it is shown: in memory of this process, which cannot fault, until they may copy; then
// in the record of the statistics file, if there is room for them.
extension Engine {
    /// The calling thread's record, claimed at its first use; nothing when all are taken by living threads.
    /// Without the engine lock.
    @inline(__always)
    func currentThread() -> CurrentThread? {
        let address = ps_thread_current().pointee.record
        if let record = UnsafeMutablePointer<ThreadRecord>(bitPattern: address) {
            let thread = record.pointee.thread.load(ordering: .relaxed)
            if thread > 0 { return CurrentThread(record: record) }
            if thread < 0 { return showFromNowOn(record) }
        }
        guard let claimed = claimThread() else { return nil }
        return showFromNowOn(claimed.record)
    }

    /// Once the thread may copy, it counts where others see it. A vfork child only lends the record from its parent,
    /// which has not been made ready by what the child does.
    @inline(never)
    private func showFromNowOn(_ record: UnsafeMutablePointer<ThreadRecord>) -> CurrentThread? {
        if !ps_signals_stranger(), makeReady(record) {
            let own = record.pointee.shard.load(ordering: .relaxed)
            let shared = UInt(record.pointee.shared.load(ordering: .relaxed))
            record.pointee.ready.store(sharedShard(own) | shared, ordering: .relaxed)
            publishOwnFigures()
        }
        return CurrentThread(record: record)
    }
}

extension EngineLock {
    /// SIGBUS in a mask of signals.
    static let faults: UInt64 = 1 << 6

    func unlock() {
        #if PMEMSHIM_CHECKS
            engineCheck(arena: engine.address)
        #endif
        release()
        // Not under the lock, nor where the caller has all signals blocked: the record's memory may fault, and with
        // SIGBUS blocked that would be the end.
        if engine.observe.pointee.figuresDue.load(ordering: .relaxed) != 0, mask & EngineLock.faults == 0 {
            engine.publishOwnFigures()
        }
    }
}
