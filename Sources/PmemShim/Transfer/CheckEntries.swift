#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    // The engine's checks of itself (ps_checks.h), made as the lock is given back.

    @c(ps_engine_check) @implementation
    public func engineCheck(arena: UnsafeMutableRawPointer) {
        let engine = Engine(address: arena)
        guard let lock = EngineLock(heldAlready: engine) else {
            let line: StaticString = "pmemshim: the lock has been taken from its holder\n"
            _ = ps_sys_write(2, line.utf8Start, line.utf8CodeUnitCount)
            ps_trap()
        }
        var step = CheckStep(held: lock.held, engine: engine, wasUndisturbed: lock.wasUndisturbed)
        engine.onOwnStack(&step) { $0.assumingMemoryBound(to: CheckStep.self).pointee.run() }
    }

    private struct CheckStep: SlowStep {
        let held: LockHeld
        let engine: Engine
        let wasUndisturbed: Bool

        mutating func run() {
            if !wasUndisturbed { Violation("the lock is held with a signal that is not blocked", 0).stop(held, engine) }
            let checks = engine.checks
            let limitsAreExact = engine.limitsAreExact(held)
            checks.pointee.turn &+= 1
            let numbers = UInt32(max(engine.files.pointee.descriptorBound.load(ordering: .relaxed), 0))
            let isLarge = numbers &+ engine.files.pointee.usedInodes.load(ordering: .relaxed) > CheckState.most
            guard !isLarge || checks.pointee.turn & 63 == 0, checks.pointee.takenOver.load(ordering: .relaxed) == 0
            else { return }
            engine.violation(held, limitsAreExact: limitsAreExact)?.stop(held, engine)
        }
    }
#endif
