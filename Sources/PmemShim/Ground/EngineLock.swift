import CShimSys
import Synchronization

/// The lock of the slow paths: classify, map, retire. Served calls never take it.
///
/// Held for a few system calls at most, with every signal blocked: a handler can therefore neither find it held by its
/// own thread nor jump out of it. fork wipes it in the child. What remains is a holder that is killed alone, which only
/// a vfork child can be: a waiter that has yielded for long looks whether the holder still exists and takes over; the
/// state it guards is then consistent enough, because every step leaves the arena safe (a window unmapped too often is
/// impossible, one forgotten costs address space).
///
/// What must be done under it takes a ``LockHeld``, which only the lock gives: the compiler finds who has not taken it.
struct EngineLock {
    let engine: Engine
    /// Signals that were blocked before.
    let mask: UInt64

    /// Takes the lock. `nil` only after a very long wait for a living holder: the caller passes on.
    init?(_ engine: Engine) {
        self.engine = engine
        mask = ps_sys_block_signals()
        let me = Int32(truncatingIfNeeded: ps_sys_thread())
        var rounds: UInt32 = 0
        while true {
            let seen = engine.root.pointee.lockHolder.load(ordering: .relaxed)
            if seen == 0 {
                let (taken, _) = engine.root.pointee.lockHolder.compareExchange(
                    expected: 0, desired: me, ordering: .acquiring)
                if taken { return }
                continue
            }
            rounds &+= 1
            if rounds < 64 {
                ps_pause()
                continue
            }
            if rounds & 0xff == 0 {
                // A thread of the table's owner, or a vfork child of it.
                let owner = engine.root.pointee.owner.load(ordering: .relaxed)
                // A zombie exists, and its parent, resumed, may be the waiter: without a look at it, that one would
                // spin for seconds at every call until it came to wait for its child.
                if !ps_sys_thread_exists(owner, seen), !ps_sys_process_exists(seen) || ps_sys_is_zombie_of_ours(seen) {
                    let (taken, _) = engine.root.pointee.lockHolder.compareExchange(
                        expected: seen, desired: me, ordering: .acquiring)
                    #if PMEMSHIM_CHECKS
                        if taken { engine.checks.pointee.takenOver.store(1, ordering: .relaxed) }
                    #endif
                    if taken { return }
                }
                if rounds > 1 << 22 {
                    ps_sys_unblock_signals(mask)
                    return nil
                }
            }
            ps_sys_yield()
        }
    }

    #if PMEMSHIM_CHECKS
        /// The lock that the calling thread has taken already, for a check. Nothing: somebody else has it, or nobody.
        init?(heldAlready engine: Engine) {
            let holder = engine.root.pointee.lockHolder.load(ordering: .relaxed)
            guard holder == Int32(truncatingIfNeeded: ps_sys_thread()) else { return nil }
            self.engine = engine
            mask = ps_sys_block_signals()
        }

        /// Of a lock that was held already: whether every signal was blocked that can be (not SIGKILL and SIGSTOP), or
        /// none can be: a filter of system calls that the program was started under refuses it.
        var wasUndisturbed: Bool {
            let least: UInt64 = 1 << 8 | 1 << 18
            return mask | least == UInt64.max || ps_sys_block_signals() | least != UInt64.max
        }
    #endif

    /// For what must be done with the lock held.
    @inline(__always)
    var held: LockHeld { LockHeld() }

    /// Gives it back, and no more: ``unlock()`` is what rooms call.
    func release() {
        engine.root.pointee.lockHolder.store(0, ordering: .releasing)
        ps_sys_unblock_signals(mask)
    }
}

/// Says that the engine lock is held. A function that must be called with it takes one of these as its first parameter,
/// and only an ``EngineLock`` gives one. It has no size, and costs nothing.
///
/// What the compiler does not see: a token that is kept after its lock has been given back, and the lock of another
/// arena. So none is kept but in the step that is made under the lock (``SlowStep``).
///
/// A function without it may be called with the lock or without. The exceptions are those that take the lock themselves
/// or touch memory which may vanish, and whatever calls them; their comments say "Without the engine lock."
struct LockHeld {
    fileprivate init() {}
}
