import CShimSys
import Synchronization

/// Distances in bytes within `ps_stats_counters`, proved against the C layout by a unit test.
enum CounterLayout {
    static let outcomes = 16
    static let servedRead = 16 * 16 * 8
    static let servedWritten = servedRead + 8
    static let passedRead = servedRead + 16
    static let passedWritten = servedRead + 24
    static let faults = servedRead + 32
    static let stride = servedRead + 64
}

extension CurrentThread {
    /// Adds to one counter of this thread's shard: one instruction to memory nobody else writes, or a locked one where
    /// threads had to share.
    @inline(__always)
    private func add(at offset: Int, _ amount: UInt64) {
        let shard = record.pointee.shard.load(ordering: .relaxed)
        guard let counters = UnsafeMutableRawPointer(bitPattern: shard) else { return }
        if record.pointee.shared.load(ordering: .relaxed) == 0 {
            raise(counters + offset, by: amount)
        } else {
            let counter = (counters + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
            counter.pointee.wrappingAdd(amount, ordering: .relaxed)
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
        let shard = record.pointee.shard.load(ordering: .relaxed)
        guard record.pointee.shared.load(ordering: .relaxed) == 0,
            let start = UnsafeMutableRawPointer(bitPattern: shard)
        else {
            add(mount, family, PS_OUTCOME_SERVED, 1)
            add(at: mount &* CounterLayout.stride &+ offset, UInt64(bytes))
            return
        }
        let counters = start + mount &* CounterLayout.stride
        raise(counters + Int(family.rawValue & 15) &* CounterLayout.outcomes &* 8, by: 1)
        raise(counters + offset, by: UInt64(bytes))
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

    func countFault(_ mount: Int) { add(at: mount &* CounterLayout.stride &+ CounterLayout.faults, 1) }
}

extension FastRange {
    /// One more call of `family` and its bytes, which are counted at `offset` (``CounterLayout``).
    @inline(__always)
    func served(_ family: ps_family, bytes: Int, at offset: Int) {
        let shard = thread.pointee.ready.load(ordering: .relaxed)
        let counters = shard &+ UInt(inode.pointee.counters.load(ordering: .relaxed))
        let call = UInt(family.rawValue & 15) &* UInt(CounterLayout.outcomes &* 8)
        guard shard & 1 == 0 else {
            ps_raise_together(counters &- 1 &+ call, 1)
            ps_raise_together(counters &- 1 &+ UInt(offset), UInt64(bitPattern: Int64(bytes)))
            return
        }
        ps_raise(counters &+ call, 1)
        ps_raise(counters &+ UInt(offset), UInt64(bitPattern: Int64(bytes)))
    }
}

/// Atomic, but not against other writers: other processes read it, and a later thread goes on with it of which only
/// the kernel knows that this one had ended.
@inline(__always)
private func raise(_ counter: UnsafeMutableRawPointer, by amount: UInt64) {
    ps_raise(UInt(bitPattern: counter), amount)
}
