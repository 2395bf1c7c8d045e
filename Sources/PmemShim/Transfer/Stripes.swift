import CShimSys
import Synchronization

/// The part of a file one writer works in: a bit per 64 KiB, modulo 4 MiB, in one word of the inode's slot, so that any
/// range is claimed by one compare-and-exchange, without an order to keep.
///
/// Natively the writers of one inode exclude one another (the inode lock); here those of one process whose stripes
/// meet do. A writer that cannot get in soon lets the kernel do the call: the holder may have been interrupted by the
/// very signal whose handler is asking.
struct Stripes {
    private let mask: UInt64

    @inline(__always)
    init(_ offset: Int64, _ count: Int) {
        let first = offset >> 16
        let last = (offset &+ Int64(count) &- 1) >> 16
        let width = last &- first
        if width >= 63 {
            mask = UInt64.max
        } else {
            let bits = (UInt64(1) << UInt64(bitPattern: width &+ 1)) &- 1
            let turn = UInt64(bitPattern: first & 63)
            mask = bits << turn | (turn == 0 ? 0 : bits >> (64 &- turn))
        }
    }

    @inline(__always)
    func claim(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        let seen = inode.pointee.writers.load(ordering: .relaxed)
        if seen & mask == 0 {
            let (taken, _) = inode.pointee.writers.compareExchange(
                expected: seen, desired: seen | mask, ordering: .acquiring)
            if taken { return true }
        }
        return claimBusy(inode)
    }

    @inline(never)
    private func claimBusy(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        var rounds = 0
        while rounds < 300 {
            let seen = inode.pointee.writers.load(ordering: .relaxed)
            if seen & mask == 0 {
                let (taken, _) = inode.pointee.writers.compareExchange(
                    expected: seen, desired: seen | mask, ordering: .acquiring)
                if taken { return true }
            } else if rounds < 200 {
                ps_pause()
            } else {
                ps_sys_yield()
            }
            rounds &+= 1
        }
        return false
    }

    @inline(__always)
    func release(_ inode: UnsafeMutablePointer<Inode>) {
        inode.pointee.writers.bitwiseAnd(~mask, ordering: .releasing)
    }
}
