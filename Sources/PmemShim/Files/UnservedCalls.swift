import Synchronization

/// Calls on a number that were not served, as far as they decide what happens next.
struct UnservedCalls: ~Copyable {
    /// Data calls seen while unknown.
    let calls: Atomic<UInt32>
    /// Calls passed on because of the guess, for the backing off of ``Engine/relearnOffset(_:_:_:counted:)``.
    /// While unknown: see ``UnknownWrites``.
    let misses: Atomic<UInt32>
}

/// write() on a number nothing is known of, counted in ``UnservedCalls/misses`` until it is.
enum UnknownWrites {
    /// So many count as one call of another kind; a power of two.
    static let perCall: UInt32 = 256
}
