import CShimSys
import Synchronization

/// What the engine knows of one thread: 64 bytes of its own.
struct ThreadRecord: ~Copyable {
    /// Thread id; 0: free; negated: the thread has not been made ready for copies yet (``ps_signals_thread_ready()``).
    /// Cleared by fork, with the rest of the arena.
    let thread: Atomic<Int32>
    /// 1: the shard is shared with other threads, additions must be atomic.
    let shared: Atomic<UInt32>
    /// Address of this thread's counters (``Counters``) in the arena: never 0 once the record is claimed. It counts there
    /// until it may copy, and whenever it must not fault.
    let shard: Atomic<UInt>
    /// Counts calls passed on, to take every so-manieth into account. Its own thread's only, one after the other.
    let turn: Atomic<UInt32>
    /// Counts claims of stripes. Its own thread's only, one after the other.
    let claims: Atomic<UInt32>
    /// The first of ``ThreadLayout/calls`` places for served calls that go on: see ``ServedCall``.
    let call: Atomic<UInt>
    let otherCalls: (UInt, UInt, UInt)
    /// Where the thread may copy, the address of its counters in the statistics file, or ``shard`` again where it has none
    /// there, with bit 0 as `shared`; 0 where it may not: all that a served call asks of its thread, in one load.
    let ready: Atomic<UInt>
}

enum ThreadLayout {
    /// Distance of `call` from the start of a record, bytes.
    static let firstCall = 24
    /// Distance of `ready` from the start of a record, bytes.
    static let ready = Int(PS_RECORD_READY)
    /// Served calls that may go on in one thread at once: signal handlers interrupt calls with calls.
    static let calls = 4
}

/// A served call that goes on: the announcement "I may be using the address of a window", in a place of its thread's
/// record: the address of its stack frame, 0 when it has ended. Whoever wants to give a retired window's address back
/// to the kernel first looks at all of them (``Engine/reuseRetired()``).
///
/// It may never end: a handler that interrupts it may jump away, throw, or be cancelled. Then its frame is given up, and
/// sooner or later overwritten, which is how it is known to be dead (``ps_frame_may_live(_:)``). Nothing is concluded
/// from the order of frames: handlers have stacks of their own, and may switch between contexts, each in the middle of
/// a call.
struct ServedCall {
    let place: UnsafeMutablePointer<Atomic<UInt>>

    /// Set beside the frame, where its low bits are 0: the call moves an offset, and what it has claimed by that is lost
    /// if it does not find its file (``Engine/claimsHaveEnded()``).
    static let claims: UInt = 1

    @inline(__always)
    init?(_ record: UnsafeMutablePointer<ThreadRecord>, frame: UInt) {
        let first = ServedCall.place(record, 0)
        if first.pointee.load(ordering: .relaxed) == 0 {
            place = first
        } else {
            guard let other = ServedCall.otherPlace(record, frame) else { return nil }
            place = other
        }
        place.pointee.store(frame, ordering: .relaxed)
        ps_compiler_barrier()
    }

    /// A call that was announced before, by the place it was announced at.
    init(resumed place: UnsafeMutablePointer<Atomic<UInt>>) { self.place = place }

    /// The first place only: nothing where that is taken.
    @inline(__always)  // one load and one store on the hot path
    init?(alone record: UnsafeMutablePointer<ThreadRecord>, frame: UInt) {
        place = ServedCall.place(record, 0)
        guard ps_is_still(UnsafeRawPointer(place), 0) else { return nil }
        place.pointee.store(frame, ordering: .relaxed)
        ps_compiler_barrier()
    }

    /// False: this is a child now. A signal handler has forked and returned into the call: the windows are gone here, and
    /// what lay at their addresses may be something else. The arena has been wiped, and with it the announcement.
    @inline(__always)
    @discardableResult
    func leave() -> Bool {
        ps_compiler_barrier()
        guard !ps_is_still(UnsafeRawPointer(place), 0) else { return false }
        place.pointee.store(0, ordering: .relaxed)
        return true
    }

    /// False: this is a child now, see ``leave()``.
    @inline(__always)
    var goesOn: Bool { place.pointee.load(ordering: .relaxed) != 0 }

    @inline(__always)
    static func place(
        _ record: UnsafeMutablePointer<ThreadRecord>, _ index: Int
    ) -> UnsafeMutablePointer<Atomic<UInt>> {
        (UnsafeMutableRawPointer(record) + ThreadLayout.firstCall).assumingMemoryBound(to: Atomic<UInt>.self) + index
    }

    /// The calling thread is in a call already, or was. A frame that is ours now is nobody else's.
    @inline(never)
    private static func otherPlace(
        _ record: UnsafeMutablePointer<ThreadRecord>, _ frame: UInt
    ) -> UnsafeMutablePointer<Atomic<UInt>>? {
        for index in 0..<ThreadLayout.calls {
            let place = place(record, index)
            let seen = place.pointee.load(ordering: .relaxed)
            if seen == 0 || seen | claims == frame | claims || !ps_frame_may_live(seen & ~claims) { return place }
        }
        return nil
    }
}

/// The calling thread, known to the registry.
struct CurrentThread {
    let record: UnsafeMutablePointer<ThreadRecord>

    /// False: the call is made on a stack for signal handlers on which a fault could not be survived. Nothing may be
    /// copied there, and no slow step be taken: such a call is the kernel's.
    @inline(__always)
    var mayCopy: Bool { record.pointee.thread.load(ordering: .relaxed) > 0 || !ps_signals_on_small_stack() }

    /// Announces a served call; loads of windows come after it. Nothing: it is in too many already.
    @inline(__always)  // the frame is the caller's, which outlives the call
    func enter() -> ServedCall? {
        // The record may be older than the first window.
        ps_signals_ready()
        return ServedCall(record, frame: ps_frame())
    }

    /// The same for a call that is about to claim a range by moving the offset.
    @inline(__always)
    func enterToClaim() -> ServedCall? {
        ps_signals_ready()
        return ServedCall(record, frame: ps_frame() | ServedCall.claims)
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
        guard let claimed = claimThread() else { return nil }
        return makeReady(claimed.record)
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
            // It goes on being asked where it runs, at each call.
            guard !ps_signals_has_small_stack() else { return CurrentThread(record: record) }
            let thread = record.pointee.thread.load(ordering: .relaxed)
            if thread < 0 { record.pointee.thread.store(0 &- thread, ordering: .relaxed) }
            let own = record.pointee.shard.load(ordering: .relaxed)
            let shared = UInt(record.pointee.shared.load(ordering: .relaxed))
            record.pointee.ready.store(sharedShard(own) | shared, ordering: .relaxed)
            publishOwnFigures()
        }
        return CurrentThread(record: record)
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
            let turn = root.pointee.shardBound.wrappingAdd(1, ordering: .relaxed).oldValue
            let last = UInt32(PS_STATS_SHARDS) &- 1
            record.pointee.shared.store(turn >= last ? 1 : 0, ordering: .relaxed)
            let distance = Int(min(turn, last)) &* MemoryLayout<ps_stats_shard>.stride
            record.pointee.shard.store(shards &+ UInt(distance), ordering: .relaxed)
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
