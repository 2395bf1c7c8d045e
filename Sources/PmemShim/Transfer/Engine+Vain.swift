import CShimSys
import Synchronization

// Calls that pass on unlooked at (``UnsafeMutablePointer/isVain()``). The kernel does all of them, and what is believed
// of the file, its size and the offset stays a hint that is older. ``target(_:_:)`` has left nothing pending.
extension Engine {
    /// Of a read that is not served as far as is known without a look.
    @inline(__always)
    func isVainRead(_ target: Target) -> Bool {
        target.inode.isMostlyVain && !target.word.has(DescriptorWord.durable) && isVain(target)
    }

    /// One that is too short to be served: others are served as soon as one of them has gone the whole way in a tick. A
    /// write must be alone in its stripes where there are more threads, and reads must know that there was one. On
    /// tmpfs alone: elsewhere a write that fails tells that the file system has been shut down.
    @inline(__always)  // the first question is asked of every write, the others of few
    func isVainWrite(_ target: Target, _ count: Int) -> Bool {
        !WriteLength(count).isServed && isVainShortWrite(target)
    }

    @inline(never)
    private func isVainShortWrite(_ target: Target) -> Bool {
        target.inode.isMostlyVain && ps_single_threaded()
            && mount(target.inode.pointee.mount).pointee.backing == PS_BACKING_MEMORY
            && target.inode.areReadsTold(target.inode.pointee.flags.load(ordering: .relaxed), isDurable: false)
            && isVain(target)
    }

    /// The one that is looked at counts for the 63 before it, whose family and reason are taken for its own.
    @inline(never)
    private func isVain(_ target: Target) -> Bool {
        if target.inode.isVain() { return true }
        // Else it is read in order, or grows under its reader.
        let isTick = target.inode.has(InodeFlag.timesDue)
        let reason = target.inode.has(InodeFlag.sparse) ? PS_OUTCOME_SPARSE : isTick ? PS_OUTCOME_TICK : PS_OUTCOME_COLD
        target.thread.add(target.geometry.statistics, target.family, reason, 63)
        return false
    }
}
