import CShimSys
import Synchronization

/// Calls on a number that were not served, as far as they decide what happens next.
struct UnservedCalls: ~Copyable {
    /// See ``CallsWord``.
    let calls: Atomic<UInt32>
    /// Calls passed on because of the guess, for the backing off of ``Engine/relearnOffset(_:_:_:counted:)``.
    /// While unknown: see ``UnknownWrites``.
    let misses: Atomic<UInt32>
}

/// In the lower 24 bits a count, in the upper 8 the number's ``Patience``. What is counted: while the number is
/// unknown, data calls on it; while it is ours, where the count of all served calls stood when it was looked at.
///
/// Threads may lose counts to each other, and one may put back the patience that another has just changed: both are
/// hints.
struct CallsWord {
    var bits: UInt32

    static let most: UInt32 = 0xff_ffff
    /// Calls on a number that would be looked at, were it not the first of the process, are counted for the process so
    /// many at a time.
    static let together: UInt32 = 256

    @inline(__always)
    init(_ bits: UInt32) { self.bits = bits }

    init(count: UInt64, _ patience: Patience) {
        bits = UInt32(truncatingIfNeeded: count) & CallsWord.most | UInt32(patience.bits) << 24
    }

    @inline(__always)
    var count: UInt32 { bits & CallsWord.most }
    @inline(__always)
    var patience: Patience { Patience(bits: UInt8(truncatingIfNeeded: bits >> 24)) }
    /// Not the first call, nor one at which it is to be decided whether to look.
    @inline(__always)
    var isWaiting: Bool {
        let usual = patience.calls(usual: Settings.current.pointee.classify_after)
        guard count >= usual else { return count != 0 }
        return count > usual && count & (CallsWord.together &- 1) != 0 && Settings.isByPrice
    }
    /// One call more; it does not run over into the patience.
    @inline(__always)
    var next: CallsWord { count == CallsWord.most ? self : CallsWord(bits &+ 1) }
    var withoutCount: CallsWord { CallsWord(bits & ~CallsWord.most) }
}

/// write() on a number nothing is known of, counted in ``UnservedCalls/misses`` until it is, in the lower 24 bits.
enum UnknownWrites {
    /// So many count as one call of another kind; a power of two.
    static let perCall: UInt32 = 256
    static let mask: UInt32 = 0xff_ffff
}

/// Set in ``UnservedCalls/misses`` while nothing is known of a number: the program has mapped its file, and reads there
/// what it writes by calls.
enum UnknownMapping {
    static let isThere: UInt32 = 1 << 31
}

/// Calls that resize the file at a number nothing is known of, in 7 of the upper bits of ``UnservedCalls/misses``.
enum UnknownResizes {
    static let one: UInt32 = 1 << 24
    /// So many cost as much as a look, after which they cost nothing.
    static var most: UInt32 { UInt32(Price.look / Price.resize &+ 1) &* one }
    /// But not where so many data calls come for each: then the calls are what matters.
    static let callsFor: UInt32 = 8
}
