import CShimSys
import Synchronization

// The registry of threads: each has a record of its own, claimed at its first call.
extension Engine {
    /// Unblocks SIGBUS and SIGSEGV for the calling thread, once there are windows: blocked, a fault in a copy would
    /// kill the process. Until then the thread may count, but not copy. True: from now on it may.
    /// Without the engine lock.
    func makeReady(_ record: UnsafeMutablePointer<ThreadRecord>) -> Bool {
        guard root.pointee.windowsExisted.load(ordering: .acquiring) != 0 else { return false }
        ps_signals_ready()
        // It goes on being asked where it runs, at each call.
        guard !ps_signals_has_small_stack() else { return false }
        let thread = record.pointee.thread.load(ordering: .relaxed)
        if thread < 0 { record.pointee.thread.store(0 &- thread, ordering: .relaxed) }
        return true
    }

    /// The calling thread for the sake of its figures only: to be asked for under the engine lock, where a thread must
    /// not be made ready to copy.
    func countingThread() -> CurrentThread? {
        let address = ps_thread_current().pointee.record
        if let record = UnsafeMutablePointer<ThreadRecord>(bitPattern: address),
            record.pointee.thread.load(ordering: .relaxed) != 0
        {
            return CurrentThread(record: record)
        }
        return claimThread()
    }

    @inline(never)
    func claimThread() -> CurrentThread? {
        let me = Int32(truncatingIfNeeded: ps_sys_thread())
        guard let record = deadThread(me) ?? freshThread(me) else { return nil }
        for index in 0..<ThreadLayout.calls { ServedCall.place(record, index).pointee.store(0, ordering: .relaxed) }
        record.pointee.ready.store(0, ordering: .relaxed)
        ps_thread_current().pointee.record = UInt(bitPattern: record)
        ps_thread_current().pointee.pending_offset = -1
        // A dead thread's counters are taken over with its record.
        if record.pointee.shard.load(ordering: .relaxed) == 0 {
            let turn = root.pointee.threads.shards.wrappingAdd(1, ordering: .relaxed).oldValue
            let last = UInt32(PS_STATS_SHARDS) &- 1
            record.pointee.shared.store(turn >= last ? 1 : 0, ordering: .relaxed)
            let distance = Int(min(turn, last)) &* MemoryLayout<ps_stats_shard>.stride
            record.pointee.shard.store(shards &+ UInt(distance), ordering: .relaxed)
        }
        return CurrentThread(record: record)
    }

    private func freshThread(_ me: Int32) -> UnsafeMutablePointer<ThreadRecord>? {
        guard root.pointee.threads.bound.load(ordering: .relaxed) < Int32(Arena.threads) else { return nil }
        let index = root.pointee.threads.bound.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
        guard index >= 0, index < Int32(Arena.threads) else { return nil }
        let record = thread(Int(index))
        record.pointee.thread.store(0 &- me, ordering: .sequentiallyConsistent)
        return record
    }

    /// Looks at two records per claim, so that a program that makes threads for ever needs about twice as many records
    /// as it has threads. A record whose thread id is the caller's own belongs to a dead namesake.
    private func deadThread(_ me: Int32) -> UnsafeMutablePointer<ThreadRecord>? {
        let bound = min(root.pointee.threads.bound.load(ordering: .relaxed), Int32(Arena.threads))
        guard bound > 0 else { return nil }
        // Not the caller's own process: it may be a vfork child, to which all threads here would seem dead.
        let process = root.pointee.owner.load(ordering: .relaxed)
        guard process != 0 else { return nil }
        let rounds = bound == Int32(Arena.threads) ? 64 : 2
        for _ in 0..<rounds {
            let turn = root.pointee.threads.search.wrappingAdd(1, ordering: .relaxed).oldValue
            let record = thread(Int(turn % UInt32(bound)))
            let seen = record.pointee.thread.load(ordering: .relaxed)
            let thread = seen < 0 ? 0 &- seen : seen
            guard seen != 0, thread == me || !ps_sys_thread_exists(process, thread) else { continue }
            let (taken, _) = record.pointee.thread.compareExchange(
                expected: seen, desired: 0 &- me, ordering: .sequentiallyConsistent)
            if taken { return record }
        }
        return nil
    }
}
