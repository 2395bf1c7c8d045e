#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    /// What only the checks need (`violation(_:limitsAreExact:)`, docs/testing.md), at the end of the arena.
    struct CheckState: ~Copyable {
        /// Evictions that have taken the meaning of a number and not yet given back the reference of its slot. One that
        /// cannot have the lock stays in the count, as its reference does in the slot.
        let evictions: Atomic<Int32>
        /// Updates of limits that go on, without the lock or with it.
        let limitUpdates: Atomic<Int32>
        /// Not 0: the lock has been taken over from a holder that was killed alone, in the middle of a step. Each step
        /// leaves the arena safe at any moment, but not in agreement with itself.
        let takenOver: Atomic<UInt32>
        /// See ``Engine/limitsAreExact(_:)``. Guarded by the engine lock.
        var limitsMayBeStale: Bool
        /// Counts locks given back. Guarded by the engine lock.
        var turn: UInt32

        /// Numbers and slots in use, together, up to which every lock that is given back is followed by a check; with
        /// more of them one in 64 is.
        static let most: UInt32 = 2_048
        /// Of the state, bytes; a mark for each inode follows.
        static let size = 64
    }

    extension Engine {
        var checks: UnsafeMutablePointer<CheckState> {
            (address + Arena.checksOffset).assumingMemoryBound(to: CheckState.self)
        }

        /// One for each slot of an inode: what a check has seen of it.
        func marks(_ held: LockHeld) -> UnsafeMutablePointer<UInt32> {
            (address + Arena.checksOffset + CheckState.size).assumingMemoryBound(to: UInt32.self)
        }
    }
#endif
