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
    /// The end probe is one byte at the limit, which is the start of the page (step) the file ends in: whatever cuts
    /// the file short enough to touch the range takes that page away as well. It is the same byte for every call on the
    /// file, so it stays in cache and TLB; the page behind the range, which would prove the same, costs a second miss
    /// at random (docs/decisions.md).
    ///
    /// On tmpfs it is made in a mapping of its own, in which nothing but such bytes is ever touched. Linux 6.14 and
    /// later keep several pages as one wherever a tmpfs has got `huge=always`, by a remount too, and a load or store to
    /// one of them maps all, those beyond the end of the file as well: in the window one beyond the end may be there.
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
