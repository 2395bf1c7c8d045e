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
    /// been seen outside. Engine lock held.
    func retire(_ base: UInt, _ length: Int64) {
        if ps_single_threaded(), isNobodyInside() {
            _ = ps_sys_unmap(base, Int(length))
            return
        }
        let isCovered = ps_sys_cover(base, Int(length)) > 0
        ps_sys_private_to_process(base, Int(length))
        if root.pointee.retired >= UInt32(Arena.retired / 4) { reuseRetired() }
        // No room: the addresses stay reserved for the life of the process. Address space is what that costs.
        if root.pointee.retired < UInt32(Arena.retired) {
            retired(root.pointee.retired).pointee = RetiredRange(base: base, length: length)
            root.pointee.retired &+= 1
        }
        guard !isCovered else { return }
        // The process has all the mappings it may have (vm.max_map_count), and the kernel wants room for one more even
        // to put it in the place of another. The file must go all the same: a copy takes microseconds, then it can be
        // unmapped. Bounded, for the caller may be a signal handler that has interrupted a copy.
        var rounds = 0
        while !reuseRetired(), rounds < 200 {
            ps_sys_yield()
            rounds &+= 1
        }
    }

    /// Unmaps what was retired, if no thread is inside a served call. Engine lock held.
    @discardableResult
    private func reuseRetired() -> Bool {
        // Every thread's announcement made before this point is visible after it, and every thread that announces
        // itself later reads a base that is no longer the retired one.
        guard ps_sys_barrier_all_threads(), callsHaveEnded(patience: Engine.spins) else { return false }
        var index: UInt32 = 0
        while index < root.pointee.retired {
            let range = retired(index).pointee
            _ = ps_sys_unmap(range.base, Int(range.length))
            index &+= 1
        }
        root.pointee.retired = 0
        return true
    }

    /// Looks at a call that goes on without giving up the processor.
    private static let spins = 200

    private func isNobodyInside() -> Bool { callsHaveEnded(patience: 0) }

    /// Waits for the calls of other threads that have moved the offset of `descriptor`, which has just been forgotten and
    /// is about to mean something else: such a call must still find its own file, or what it claimed is lost. Whoever
    /// announces himself later sees that the number is forgotten, and claims nothing. Not for ever: a thread may be
    /// stopped, or wait for us in a signal handler. Engine lock held.
    func awaitClaims(_ descriptor: UnsafeMutablePointer<Descriptor>) {
        guard !ps_single_threaded(), ps_sys_barrier_all_threads(),
            descriptor.pointee.calls.load(ordering: .relaxed) != 0
        else { return }
        _ = callsHaveEnded(patience: 20_000, besides: ps_thread_current().pointee.record)
    }

    /// Whether each call that was going on when this began has been seen to end, or to be dead. It need not be at the
    /// same moment: what begins later is no concern of the one who asks.
    private func callsHaveEnded(patience: Int, besides own: UInt = 0) -> Bool {
        let bound = min(root.pointee.threadBound.load(ordering: .acquiring), Int32(Arena.threads))
        var index = 0
        while index < Int(bound) {
            let record = thread(index)
            index &+= 1
            guard UInt(bitPattern: record) != own else { continue }
            for number in 0..<ThreadLayout.calls {
                let place = ServedCall.place(record, number)
                let frame = place.pointee.load(ordering: .acquiring)
                guard frame != 0 else { continue }
                var rounds = 0
                while rounds < patience, place.pointee.load(ordering: .acquiring) == frame {
                    // Other processes may get all their turns in a yield: only where it is worth that.
                    if rounds > Engine.spins, rounds & 31 == 31 { ps_sys_yield() } else { ps_pause() }
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
        return ps_sys_thread_exists(process, thread) && ps_frame_may_live(frame)
    }
}
