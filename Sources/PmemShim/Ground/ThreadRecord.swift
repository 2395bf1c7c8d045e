import CShimSys
import Synchronization

/// What the engine knows of one thread: 64 bytes of its own.
///
/// `inside` is the announcement "I may be using the address of a window": whoever wants to give a retired window's
/// address back to the kernel first looks for it in every record (``Engine/reuseRetired()``).
struct ThreadRecord: ~Copyable {
    /// Thread id; 0: free; negated: the thread has not been made ready for copies yet (``ps_signals_thread_ready()``).
    /// Cleared by fork, with the rest of the arena.
    let thread: Atomic<Int32>
    /// Nesting depth of served calls: a signal handler may interrupt one with another.
    let inside: Atomic<UInt32>
    /// Address of this thread's counters (``Counters``): never 0 once the record is claimed.
    let shard: Atomic<UInt>
    /// 1: the shard is shared with other threads, additions must be atomic.
    let shared: Atomic<UInt32>
    /// Counts calls passed on, to take every so-manieth into account. Its own thread's only, one after the other.
    let turn: Atomic<UInt32>
    let reserved: (UInt64, UInt64, UInt64, UInt64, UInt64)
}

/// The calling thread, known to the registry.
struct CurrentThread {
    let record: UnsafeMutablePointer<ThreadRecord>

    /// Announces a served call; loads of windows come after it.
    @inline(__always)
    func enter() {
        // The record may be older than the first window.
        ps_signals_ready()
        enterReady()
    }

    /// The same for a thread whose record says that it is ready.
    @inline(__always)  // two instructions on the hot path
    func enterReady() {
        let depth = record.pointee.inside.load(ordering: .relaxed)
        record.pointee.inside.store(depth &+ 1, ordering: .relaxed)
        ps_compiler_barrier()
    }

    /// False: this is a child now. A signal handler has forked and returned into the call: the windows are gone here, and
    /// what lay at their addresses may be something else. The arena has been wiped, and with it the depth.
    @inline(__always)
    @discardableResult
    func leave() -> Bool {
        ps_compiler_barrier()
        let depth = record.pointee.inside.load(ordering: .relaxed)
        guard depth != 0 else { return false }
        record.pointee.inside.store(depth &- 1, ordering: .relaxed)
        return true
    }
}

extension Engine {
    /// The calling thread's record, claimed at its first use; nothing when all are taken by living threads.
    @inline(__always)
    func currentThread() -> CurrentThread? {
        let address = ps_thread_current().pointee.record
        if let record = UnsafeMutablePointer<ThreadRecord>(bitPattern: address) {
            let thread = record.pointee.thread.load(ordering: .relaxed)
            if thread > 0 { return CurrentThread(record: record) }
            if thread < 0 { return makeReady(record) }
        }
        return claimThread()
    }

    /// The calling thread for the sake of its figures only: may be asked for with the engine lock held, under which a
    /// thread must not be made ready to copy.
    func countingThread() -> CurrentThread? {
        let address = ps_thread_current().pointee.record
        if let record = UnsafeMutablePointer<ThreadRecord>(bitPattern: address),
            record.pointee.thread.load(ordering: .relaxed) != 0
        {
            return CurrentThread(record: record)
        }
        return claimThread()
    }

    /// Unblocks SIGBUS and SIGSEGV for the calling thread, once there are windows: blocked, a fault in a copy would kill
    /// the process. Until then the thread may count, but not copy.
    @inline(never)
    private func makeReady(_ record: UnsafeMutablePointer<ThreadRecord>) -> CurrentThread {
        if root.pointee.windowsExisted.load(ordering: .acquiring) != 0 {
            ps_signals_ready()
            let thread = record.pointee.thread.load(ordering: .relaxed)
            if thread < 0 { record.pointee.thread.store(0 &- thread, ordering: .relaxed) }
        }
        return CurrentThread(record: record)
    }

    @inline(never)
    func claimThread() -> CurrentThread? {
        let me = Int32(truncatingIfNeeded: ps_sys_thread())
        guard let record = deadThread(me) ?? freshThread(me) else { return nil }
        record.pointee.inside.store(0, ordering: .relaxed)
        ps_thread_current().pointee.record = UInt(bitPattern: record)
        ps_thread_current().pointee.pending_offset = -1
        let shard = record.pointee.shard.load(ordering: .relaxed)
        // A dead thread's counters are taken over with its record.
        if shard == 0 || shard == unreadShard {
            record.pointee.shared.store(1, ordering: .relaxed)
            record.pointee.shard.store(unreadShard, ordering: .relaxed)
            assignShard(CurrentThread(record: record))
        }
        return CurrentThread(record: record)
    }

    private func freshThread(_ me: Int32) -> UnsafeMutablePointer<ThreadRecord>? {
        guard root.pointee.threadBound.load(ordering: .relaxed) < Int32(Arena.threads) else { return nil }
        let index = root.pointee.threadBound.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue
        guard index >= 0, index < Int32(Arena.threads) else { return nil }
        let record = thread(Int(index))
        record.pointee.thread.store(0 &- me, ordering: .sequentiallyConsistent)
        return record
    }

    /// Looks at two records per claim, so that a program that makes threads for ever needs about twice as many records
    /// as it has threads. A record whose thread id is the caller's own belongs to a dead namesake.
    private func deadThread(_ me: Int32) -> UnsafeMutablePointer<ThreadRecord>? {
        let bound = min(root.pointee.threadBound.load(ordering: .relaxed), Int32(Arena.threads))
        guard bound > 0 else { return nil }
        // Not the caller's own process: it may be a vfork child, to which all threads here would seem dead.
        let process = root.pointee.owner.load(ordering: .relaxed)
        guard process != 0 else { return nil }
        let rounds = bound == Int32(Arena.threads) ? 64 : 2
        for _ in 0..<rounds {
            let turn = root.pointee.threadSearch.wrappingAdd(1, ordering: .relaxed).oldValue
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
