import CShimSys
import Synchronization

// Calls that pass on unlooked at (``UnsafeMutablePointer/isVain()``). The kernel does all of them, and what is believed
// of the file, its size and the offset stays a hint that is older.
extension Engine {
    @inline(__always)
    func isVainRead(_ fd: Int32, _ family: ps_family) -> Bool {
        guard let descriptor = descriptor(fd) else { return false }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours, without: DescriptorWord.suspect | DescriptorWord.durable) else {
            return false
        }
        return isVain(inode(word.inode), family)
    }

    /// One that is too short to be served: others are served as soon as one of them has gone the whole way in a tick. A
    /// write must be alone in its stripes where there are more threads, and reads must know that there was one. On
    /// tmpfs alone: elsewhere a write that fails tells that the file system has been shut down.
    @inline(__always)
    func isVainWrite(_ fd: Int32, _ count: Int, _ family: ps_family) -> Bool {
        guard !WriteLength(count).isServed, ps_single_threaded(), let descriptor = descriptor(fd) else { return false }
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        guard word.has(DescriptorWord.ours, without: DescriptorWord.suspect | DescriptorWord.durable) else {
            return false
        }
        let inode = inode(word.inode)
        return inode.isMostlyVain && mount(inode.pointee.mount).pointee.backing == PS_BACKING_MEMORY
            && (inode.has(InodeFlag.timesDue) || inode.pointee.base.load(ordering: .relaxed) == 0)
            && isVain(inode, family)
    }

    @inline(__always)
    private func isVain(_ inode: UnsafeMutablePointer<Inode>, _ family: ps_family) -> Bool {
        guard inode.isMostlyVain else { return false }
        guard inode.isVain() else {
            countVain(inode, family)
            return false
        }
        ps_thread_current().pointee.pending = PS_PENDING_NOTHING.rawValue
        return true
    }

    /// The 63 before the one that is looked at, whose family and reason are taken for theirs.
    @inline(never)
    private func countVain(_ inode: UnsafeMutablePointer<Inode>, _ family: ps_family) {
        let statistics = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed)).statistics
        let reason = inode.has(InodeFlag.sparse) ? PS_OUTCOME_SPARSE : PS_OUTCOME_TICK
        currentThread()?.add(statistics, family, reason, 63)
    }
}
