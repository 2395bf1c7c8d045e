import CShimSys
import Synchronization

extension Engine {
    /// The slot of a known inode.
    func findInode(_ held: LockHeld, device: UInt64, number: UInt64) -> UInt32? {
        var link = heads(held)[hash(device, number)].load(ordering: .relaxed)  // the lock orders it
        while link != 0 {
            let candidate = inode(UInt32(link &- 1))
            if candidate.pointee.number == number, candidate.pointee.device == device { return UInt32(link &- 1) }
            link = candidate.pointee.next
        }
        return nil
    }

    /// False: no slot is that inode's. Without the lock: what another thread learns at this very moment, it learns
    /// after the call that is asked about, or as a hint that is too high.
    func mayBeKnown(device: UInt64, number: UInt64) -> Bool {
        let heads = (address + Arena.headsOffset).assumingMemoryBound(to: Atomic<UInt16>.self)
        return heads[hash(device, number)].load(ordering: .sequentiallyConsistent) != 0
    }

    func hash(_ device: UInt64, _ number: UInt64) -> Int {
        let mixed = (number ^ device << 17) &* 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 52) & (Arena.inodeHeads &- 1)
    }
}
