import CShimSys
import Synchronization

/// Proved addresses of a range: valid, or faulting, until the thread leaves.
struct ProvedRange {
    let start: UInt
    let probe: UInt
}

extension Target {
    /// Addresses of the range in the window and of the end probe. To be called between enter and leave, with the limit
    /// the range was found to lie below.
    ///
    /// The order of the loads is the proof: `length` belongs to `base` because `base` is the same before and after, and
    /// `base` belongs to this descriptor because its word is the same as before. A window taken away later faults, and
    /// its addresses are not used again before this thread has left.
    ///
    /// The end probe is one byte at the limit, which is the start of the page the file ends in, or of one before it:
    /// whatever cuts the file short enough to touch the range takes that page away as well. It is the same byte for
    /// every call on the file, so it stays in cache and TLB; the page behind the range, which would prove the same,
    /// costs a second miss at random (docs/decisions.md).
    ///
    /// Except on DAX the byte is loaded in a second mapping, of which only that page can be read. Linux keeps several
    /// pages as one, on tmpfs wherever it has got `huge=always`, by a remount too, and since 6.18 a load or store to
    /// one of them maps all, those beyond the end of the file as well. Into an area of one page only that one can be
    /// brought, for which the kernel looks at the size.
    @inline(__always)
    func prove(_ offset: Int64, limit: Int64) -> ProvedRange? {
        let base = inode.pointee.base.load(ordering: .acquiring)
        let length = inode.pointee.length.load(ordering: .acquiring)
        let probeBase = inode.pointee.probeBase.load(ordering: .acquiring)
        guard base != 0, limit < length,
            inode.pointee.base.load(ordering: .acquiring) == base,
            descriptor.pointee.word.load(ordering: .acquiring) == word.bits
        else { return nil }
        return ProvedRange(
            start: base &+ UInt(bitPattern: Int(offset)), probe: probeBase &+ UInt(bitPattern: Int(limit)))
    }
}
