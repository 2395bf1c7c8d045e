import CShimSys
import Synchronization

/// What the figures and the log of this process keep. Guarded by the engine lock, but for the atomic words.
struct ObserveState: ~Copyable {
    /// Where the record in the statistics file is mapped; 0: there is none, the process counts in memory of its own.
    /// Set after ``shards``.
    let record: Atomic<UInt>
    /// Bit n: shard n of the record has been allocated, and may be touched.
    let shards: Atomic<UInt32>
    /// Mounts that the figures tell of so far (``ShownMount``).
    let shown: Atomic<UInt32>
    /// Whether a record has been asked for; without the lock at the end of the process only.
    let statisticsTried: Atomic<Bool>
    var statistics: StatisticsRecord
    /// Lines written to the log, and which of the once-only ones.
    var logged: UInt32
    var saidOnce: UInt32
    /// Not 0: something was counted under the engine lock, and is to be shown.
    let figuresDue: Atomic<UInt32>
}

/// A mount as the figures show it, in the arena, with its path behind it: what the record needs that is written once
/// there is one. Guarded by the engine lock.
struct ShownMount {
    /// ``ps_backing``.
    var backing: UInt32
    /// Bytes of the path, below PS_STATS_PATH.
    var pathLength: UInt32
}

extension UnsafeMutablePointer where Pointee == ShownMount {
    var path: UnsafeMutablePointer<UInt8> {
        (UnsafeMutableRawPointer(self) + 16).assumingMemoryBound(to: UInt8.self)
    }
}

extension Engine {
    @inline(__always)
    var observe: UnsafeMutablePointer<ObserveState> {
        (address + Arena.observeOffset).assumingMemoryBound(to: ObserveState.self)
    }

    /// The mount with that index, below PS_STATS_MOUNTS.
    func shownMount(_ held: LockHeld, _ index: Int) -> UnsafeMutablePointer<ShownMount> {
        (address + Arena.shownOffset + (index & (Int(PS_STATS_MOUNTS) &- 1)) &* Arena.shownSize)
            .assumingMemoryBound(to: ShownMount.self)
    }

    /// Hashes of lines told to the log; 0: free.
    func said(_ held: LockHeld) -> UnsafeMutablePointer<UInt64> {
        (address + Arena.saidOffset).assumingMemoryBound(to: UInt64.self)
    }
}
