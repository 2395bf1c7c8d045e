import CShimSys

/// What the length of an overwrite means: whether it may be served, and how it is then stored.
///
/// Short overwrites are the commit points of databases, and kill -9 must tear none of them: natively the kernel
/// finishes a copy that it has begun. So they are stored by one instruction, or by the kernel
/// (docs/decisions.md#short-overwrites-are-one-instruction-or-go-to-the-kernel).
struct WriteLength {
    /// From this length on an overwrite is copied (bytes).
    static let leastCopied = 512
    /// From this length on the copy goes past the caches, by non-temporal stores (bytes). Measured by
    /// `scripts/bench micro`: below it the line is likelier to be read or written again soon, and the fence costs more
    /// than the store saves.
    static let leastPastCaches = 1_024

    /// Bytes.
    let count: Int

    @inline(__always)  // a comparison with a constant
    init(_ count: Int) { self.count = count }

    @inline(__always)
    var isCopied: Bool { count >= WriteLength.leastCopied }
    /// Some lengths up to 64 bytes, by what the processor has.
    @inline(__always)
    var isOneStore: Bool { ps_stores_whole(count) != 0 }
    @inline(__always)
    var isPastCaches: Bool { count >= WriteLength.leastPastCaches }
    /// By one of the two ways. What is not is left to the kernel.
    @inline(__always)
    var isServed: Bool { isCopied || isOneStore }
}
