import CShimSys
import Synchronization

/// What the engine knows of one thread: 64 bytes of its own.
struct ThreadRecord: ~Copyable {
    /// Thread id; 0: free; negated: the thread has not been made ready for copies yet (``ps_signals_thread_ready()``).
    /// Cleared by fork, with the rest of the arena.
    let thread: Atomic<Int32>
    /// 1: the shard is shared with other threads, additions must be atomic.
    let shared: Atomic<UInt32>
    /// Address of this thread's counters (``CounterLayout``) in the arena: never 0 once the record is claimed. It
    /// counts there until it may copy, and whenever it must not fault.
    let shard: Atomic<UInt>
    /// What the thread itself counts.
    let own: OwnCounts
    /// The first of ``ThreadLayout/calls`` places for served calls that go on: see ``ServedCall``.
    let call: Atomic<UInt>
    let otherCalls: (UInt, UInt, UInt)
    /// Where the thread may copy, the address of its counters in the statistics file, or ``shard`` again where it has
    /// none there, with bit 0 as `shared`; 0 where it may not: all that a served call asks of its thread, in one load.
    let ready: Atomic<UInt>
}

/// Counted by the thread whose record it is, and by it alone, one after the other.
struct OwnCounts: ~Copyable {
    /// Calls passed on, of which one in so many is taken into account.
    let turn: Atomic<UInt32>
    /// Claims of stripes.
    let claims: Atomic<UInt32>
}

enum ThreadLayout {
    /// Distance of `call` from the start of a record, bytes.
    static let firstCall = 24
    /// Distance of `ready` from the start of a record, bytes.
    static let ready = Int(PS_RECORD_READY)
    /// Served calls that may go on in one thread at once: signal handlers interrupt calls with calls.
    static let calls = 4
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

    /// Announces a call that is about to claim a range by moving the offset. Nothing: the thread is in too many calls
    /// already.
    @inline(__always)
    func enterToClaim() -> ServedCall? {
        ps_signals_ready()
        return ServedCall(record, frame: ps_frame() | ServedCall.claims)
    }
}
