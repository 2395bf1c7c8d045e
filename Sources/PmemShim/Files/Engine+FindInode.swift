import CShimSys
import Synchronization

extension Engine {
    /// The slot of a known inode.
    func findInode(_ held: LockHeld, device: UInt64, number: UInt64) -> UInt32? {
        var link = heads(held)[hash(device, number)]
        while link != 0 {
            let candidate = inode(UInt32(link &- 1))
            if candidate.pointee.number == number, candidate.pointee.device == device { return UInt32(link &- 1) }
            link = candidate.pointee.next
        }
        return nil
    }

    func hash(_ device: UInt64, _ number: UInt64) -> Int {
        let mixed = (number ^ device << 17) &* 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 52) & (Arena.inodeHeads &- 1)
    }
}
