import CShimSys
import Synchronization

/// What the length of an overwrite means: whether it may be served, and how it is then stored.
///
/// Short overwrites are the commit points of databases, and kill -9 must tear none of them: natively the kernel
/// finishes a copy that it has begun. So they are stored by one instruction, or by the kernel
/// (docs/decisions.md#short-overwrites-are-one-instruction-or-go-to-the-kernel).
struct WriteLength {
    /// From this length on an overwrite is copied (bytes).
    static let leastCopied = 512
    /// From this length on the copy goes past the caches, by non-temporal stores (bytes), unless ``staysCached(_:)``
    /// says otherwise. Measured by `scripts/bench micro`: below it the line is likelier to be read or written again
    /// soon, and the fence costs more than the store saves.
    static let leastLong = 1_024
    /// A file up to this size lies in the caches of the machines that databases run on, while it is in use (bytes). A
    /// store past them costs more there, and throws out what the program, or LMDB's own mapping of the file, reads next
    /// (docs/decisions.md#small-files-are-overwritten-in-the-caches).
    static let mostCached: Int64 = 8 << 20

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
    var isLong: Bool { count >= WriteLength.leastLong }
    /// Of a small file, or of one that the program has mapped itself.
    @inline(__always)  // two loads from a line that the call has in hand, and two comparisons
    static func staysCached(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        inode.pointee.size.load(ordering: .relaxed) <= mostCached || inode.has(InodeFlag.mapped)
    }
    /// By one of the two ways. What is not is left to the kernel.
    @inline(__always)
    var isServed: Bool { isCopied || isOneStore }
}
