import CShimSys
import Synchronization

/// An address range that was a window and is kept mapped PROT_NONE until no thread can be inside a copy there.
struct RetiredRange {
    var base: UInt
    var length: Int64
}

extension Engine {
    /// Takes the file out of [base, base + length) at once, and gives the addresses back when that is safe.
    ///
    /// The danger is a thread that has read `base` and not yet copied: were the addresses mapped anew meanwhile, it
    /// would copy from or into a stranger's page. So the range stays PROT_NONE, where it faults, until every thread has
    /// been seen outside: reclamation after quiescence. A membarrier(2) by the one who reclaims makes the announcements
    /// visible (an asymmetric fence), so that served calls pay for none.
    ///
    /// Not `covers`: the file stays in it till then, for a call that cannot be done again without it. As natively a
    /// call in progress has its file to its end, whoever closes it.
    func retire(_ held: LockHeld, _ base: UInt, _ length: Int64, covers: Bool) {
        if ps_single_threaded(), isNobodyInside() {
            _ = ps_sys_unmap(base, Int(length))
            return
        }
        if windows.pointee.retired >= Engine.mostRetired || lingers { reuseRetired(held) }
        if !covers, windows.pointee.retired < UInt32(Arena.retired) {
            retired(held, windows.pointee.retired).pointee = RetiredRange(base: base, length: length)
            windows.pointee.retired &+= 1
            windows.pointee.lingering.store(1, ordering: .sequentiallyConsistent)
            return
        }
        let isCovered = ps_sys_cover(base, Int(length)) > 0
        ps_sys_private_to_process(base, Int(length))
        // No room: the addresses stay reserved for the life of the process. Address space is what that costs.
        if windows.pointee.retired < UInt32(Arena.retired) {
            retired(held, windows.pointee.retired).pointee = RetiredRange(base: base, length: length)
            windows.pointee.retired &+= 1
        }
        guard !isCovered else { return }
        // The process has all the mappings it may have (vm.max_map_count), and the kernel wants room for one more even
        // to put it in the place of another. The file must go all the same: a copy takes microseconds, then it can be
        // unmapped. Bounded, for the caller may be a signal handler that has interrupted a copy.
        var rounds = 0
        while !reuseRetired(held), rounds < 200 {
            ps_sys_yield()
            rounds &+= 1
        }
    }

    /// Unmaps what was retired, if no thread is inside a served call.
    @discardableResult
    private func reuseRetired(_ held: LockHeld) -> Bool {
        // Every thread's announcement made before this point is visible after it, and every thread that announces
        // itself later reads a base that is no longer the retired one.
        guard ps_sys_barrier_all_threads(), callsHaveEnded(patience: Engine.spins) else { return false }
        var index: UInt32 = 0
        while index < windows.pointee.retired {
            let range = retired(held, index).pointee
            _ = ps_sys_unmap(range.base, Int(range.length))
            index &+= 1
        }
        windows.pointee.retired = 0
        windows.pointee.lingering.store(0, ordering: .relaxed)
        return true
    }

    /// Whether a range is retired that still has its file.
    private var lingers: Bool { windows.pointee.lingering.load(ordering: .relaxed) != 0 }

    /// After a call whose number was forgotten meanwhile: it may have been the one that a window was kept for.
    /// Without the engine lock.
    @inline(never)
    func dropLingering() {
        guard lingers, let lock = EngineLock(self) else { return }
        reuseRetired(lock.held)
        lock.unlock()
    }

    /// Retired ranges that are kept before it is asked whether they may go: each is a mapping of the process.
    private static let mostRetired: UInt32 = 32

    /// Looks at a call that goes on without giving up the processor.
    private static let spins = 200

    private func isNobodyInside() -> Bool { callsHaveEnded(patience: 0) }

    /// Waits for the calls of other threads that have moved an offset: the number has just been forgotten and is about
    /// to mean something else, and such a call must still find its own file, or what it claimed is lost. Whoever
    /// announces himself later sees that the number is forgotten, and claims nothing. False: not all have ended. Not
    /// for ever: a thread may be stopped, or wait for us in a signal handler. Without the engine lock.
    func claimsHaveEnded() -> Bool {
        guard !ps_single_threaded(), ps_sys_barrier_all_threads() else { return true }
        let own = ps_thread_current().pointee.record
        let bound = min(root.pointee.threads.bound.load(ordering: .acquiring), Int32(Arena.threads))
        var rests = 0
        for index in 0..<Int(bound) where UInt(bitPattern: thread(index)) != own {
            for number in 0..<ThreadLayout.calls {
                let place = ServedCall.place(thread(index), number)
                let frame = place.pointee.load(ordering: .acquiring)
                guard frame & ServedCall.claims != 0 else { continue }
                var rounds = 0
                while place.pointee.load(ordering: .acquiring) == frame {
                    rounds &+= 1
                    // Asked early, and once more below: what was jumped out of, or cancelled, would else cost every
                    // close thousands of yields, each a turn of every other process.
                    if rounds == Engine.spins, !mayGoOn(thread(index), frame) {
                        unclaim(place, frame)
                        break
                    }
                    guard rounds > Engine.claimRounds else {
                        pause(rounds)
                        continue
                    }
                    // It has lost the processor to others, and a yield does not give it back.
                    guard mayGoOn(thread(index), frame), rests < Engine.claimRests else {
                        // Once per call: a handler may have jumped out of it, or it was cancelled, and its frame looks
                        // alive for long. Every close would wait for it.
                        unclaim(place, frame)
                        if rests < Engine.claimRests { break }
                        return false
                    }
                    ps_sys_rest(1_000)
                    rests &+= 1
                }
            }
        }
        return true
    }

    /// A call that does not end, or has been waited for: it goes on to be a call, but nobody waits for its claim again.
    private func unclaim(_ place: UnsafeMutablePointer<Atomic<UInt>>, _ frame: UInt) {
        _ = place.pointee.compareExchange(
            expected: frame, desired: frame & ~ServedCall.claims, ordering: .relaxed)
    }

    /// Looks at a call that has claimed: about a millisecond.
    private static let claimRounds = 20_000
    /// And then so many milliseconds: longer than a thread waits for its turn on a busy machine.
    private static let claimRests = 100

    /// Other processes may get all their turns in a yield: only where it is worth that.
    private func pause(_ rounds: Int) {
        if rounds > Engine.spins, rounds & 31 == 31 { ps_sys_yield() } else { ps_pause() }
    }

    /// Whether each call that was going on when this began has been seen to end, or to be dead. It need not be at the
    /// same moment: what begins later is no concern of the one who asks.
    private func callsHaveEnded(patience: Int) -> Bool {
        let bound = min(root.pointee.threads.bound.load(ordering: .acquiring), Int32(Arena.threads))
        var index = 0
        while index < Int(bound) {
            let record = thread(index)
            index &+= 1
            for number in 0..<ThreadLayout.calls {
                let place = ServedCall.place(record, number)
                let frame = place.pointee.load(ordering: .acquiring)
                guard frame != 0 else { continue }
                var rounds = 0
                while rounds < patience, place.pointee.load(ordering: .acquiring) == frame {
                    pause(rounds)
                    rounds &+= 1
                }
                if rounds == patience, mayGoOn(record, frame) { return false }
            }
        }
        return true
    }

    /// Whether the call that `record` announces with `frame` may still end by itself.
    func mayGoOn(_ record: UnsafeMutablePointer<ThreadRecord>, _ frame: UInt) -> Bool {
        let seen = record.pointee.thread.load(ordering: .relaxed)
        let thread = seen < 0 ? 0 &- seen : seen
        let process = root.pointee.owner.load(ordering: .relaxed)
        return ps_sys_thread_exists(process, thread) && ps_frame_may_live(frame & ~ServedCall.claims)
    }
}
