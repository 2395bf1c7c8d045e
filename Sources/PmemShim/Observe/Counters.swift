import CShimSys
import Synchronization

/// Distances in bytes within `ps_stats_counters`, proved against the C layout by a unit test.
enum CounterLayout {
    static let outcomes = 16
    /// Bytes of files that have come into windows, in the row that is no family's (``PS_FAMILY_OTHER``).
    static let windowedBytes = 15 * 16 * 8
    static let servedRead = 16 * 16 * 8
    static let servedWritten = servedRead + 8
    static let passedRead = servedRead + 16
    static let passedWritten = servedRead + 24
    static let faults = servedRead + 32
    static let windows = servedRead + 40
    static let mappedBytes = servedRead + 48
    static let windowsTotal = servedRead + 56
    static let stride = servedRead + 64
}

extension CurrentThread {
    /// Where this thread counts now, with bit 0 as in ``ThreadRecord/ready``.
    @inline(__always)
    private var counters: UInt {
        let ready = record.pointee.ready.load(ordering: .relaxed)
        #if PMEMSHIM_CHECKS
            if ready != 0 { CurrentThread.checkFaultsArrive() }
        #endif
        return ready != 0 ? ready : own
    }

    #if PMEMSHIM_CHECKS
        /// The record of figures may be cut at any moment by anybody, and the handler of SIGBUS heals it. With that
        /// signal blocked the process would end.
        @inline(never)
        private static func checkFaultsArrive() {
            guard ps_sys_blocked_signals() & EngineLock.faults != 0 else { return }
            let rule: StaticString = "pmemshim: figures that may fault are touched with SIGBUS blocked\n"
            _ = ps_sys_write(2, rule.utf8Start, rule.utf8CodeUnitCount)
            ps_trap()
        }
    #endif

    private var own: UInt {
        record.pointee.shard.load(ordering: .relaxed) | UInt(record.pointee.shared.load(ordering: .relaxed))
    }

    /// Adds to one counter of this thread's shard: one instruction to memory nobody else writes, or a locked one where
    /// threads had to share.
    @inline(__always)
    private func add(at offset: Int, _ amount: UInt64) { raise(counters, offset, by: amount) }

    /// Adds to this thread's counters in the arena, which cannot fault: under the engine lock the one way to count
    /// (``Engine/publishOwnFigures()``).
    func addOwn(at offset: Int, _ amount: UInt64) { raise(own, offset, by: amount) }

    /// Moves the figures of `mounts` mounts that stand in a shard of the arena to where this thread counts now.
    func publish(shard: UInt, mounts: Int) {
        guard shard != counters & ~1, let from = UnsafeMutableRawPointer(bitPattern: shard) else { return }
        for at in stride(from: 0, to: mounts &* CounterLayout.stride, by: 8) {
            let counter = (from + at).assumingMemoryBound(to: Atomic<UInt64>.self)
            guard counter.pointee.load(ordering: .relaxed) != 0 else { continue }
            add(at: at, counter.pointee.exchange(0, ordering: .relaxed))
        }
    }

    @inline(__always)
    func add(_ mount: Int, _ family: ps_family, _ outcome: ps_outcome, _ amount: UInt64) {
        let row = Int(family.rawValue & 15) &* CounterLayout.outcomes &+ Int(outcome.rawValue & 15)
        add(at: mount &* CounterLayout.stride &+ row &* 8, amount)
    }

    @inline(__always)
    func count(_ mount: Int, _ family: ps_family, _ outcome: ps_outcome) { add(mount, family, outcome, 1) }

    @inline(__always)
    func served(_ mount: Int, _ family: ps_family, read bytes: Int) {
        addServed(mount, family, bytes, at: CounterLayout.servedRead)
    }

    @inline(__always)
    func served(_ mount: Int, _ family: ps_family, written bytes: Int) {
        addServed(mount, family, bytes, at: CounterLayout.servedWritten)
    }

    /// Call and bytes together: the shard is looked up once.
    @inline(__always)
    private func addServed(_ mount: Int, _ family: ps_family, _ bytes: Int, at offset: Int) {
        let shard = counters
        let first = mount &* CounterLayout.stride
        raise(shard, first &+ Int(family.rawValue & 15) &* CounterLayout.outcomes &* 8, by: 1)
        raise(shard, first &+ offset, by: UInt64(bytes))
    }

    /// Negative: fewer bytes moved than had been counted.
    @inline(__always)
    func passed(_ mount: Int, read bytes: Int64) {
        add(at: mount &* CounterLayout.stride &+ CounterLayout.passedRead, UInt64(bitPattern: bytes))
    }

    @inline(__always)
    func passed(_ mount: Int, written bytes: Int64) {
        add(at: mount &* CounterLayout.stride &+ CounterLayout.passedWritten, UInt64(bitPattern: bytes))
    }

    /// Data calls of this thread that were served, as far as they are counted where it counts now.
    func servedCalls(_ mount: Int) -> UInt64 { served(mount, from: PS_FAMILY_READ) }

    /// Those that wrote, on all mounts.
    var servedWrites: UInt64 {
        var sum: UInt64 = 0
        for mount in 0..<Int(PS_STATS_MOUNTS) { sum &+= served(mount, from: PS_FAMILY_WRITE) }
        return sum
    }

    /// Of the families from `first` to the last that moves data.
    private func served(_ mount: Int, from first: ps_family) -> UInt64 {
        guard let counters = UnsafeMutableRawPointer(bitPattern: counters & ~1) else { return 0 }
        var sum: UInt64 = 0
        for family in Int(first.rawValue)...Int(PS_FAMILY_PWRITEV.rawValue) {
            let at = mount &* CounterLayout.stride &+ family &* CounterLayout.outcomes &* 8
            sum &+= (counters + at).assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .relaxed)
        }
        return sum
    }

    func countFault(_ mount: Int) { add(at: mount &* CounterLayout.stride &+ CounterLayout.faults, 1) }
}

/// Atomic, but not against other writers, where the shard has one: other processes read it, and a later thread goes on
/// with it of which only the kernel knows that this one had ended. Bit 0 of `shard`: it has several.
@inline(__always)
private func raise(_ shard: UInt, _ offset: Int, by amount: UInt64) {
    // A child that a signal handler has forked returns into the call with an arena that is empty.
    guard shard > 1 else { return }
    if shard & 1 == 0 {
        ps_raise(shard &+ UInt(bitPattern: offset), amount)
    } else {
        ps_raise_together((shard &- 1) &+ UInt(bitPattern: offset), amount)
    }
}
