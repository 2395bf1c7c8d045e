import CShimSys
import Synchronization

// What a write through a window costs where the kernel writes the file back, on a page cache: the first store to a page
// since it was last written back faults, and the file system is asked for leave to change it. That, and what the next
// writing back has to do for it, is dearer than four writes through the kernel (``WriteFaults``). A database that syncs
// writes most pages once in between. So in each clock tick the faults of a thread are held against the writes it had
// served, and where they are too many, writes to the file are the kernel's: for a second at first, and twice as long
// each time that it has not paid again. Meanwhile the window is for reading alone (``remapWindow(_:)``): the kernel
// does not go through such a one at each page it writes back.
//
// It shows the same whoever has it written back: this process by fsync, another one, or the kernel by itself.
extension Engine {
    /// A write to `target` is the first in its clock tick, and so the kernel's.
    func weighWriteFaults(_ target: Target) {
        guard Settings.isByPrice, mount(target.inode.pointee.mount).pointee.backing == PS_BACKING_PAGECACHE else {
            return
        }
        let thread = ps_thread_current()
        let tick = ps_sys_coarse_now()
        let before = WriteFaults(
            faults: thread.pointee.faults, writes: thread.pointee.writes, tick: thread.pointee.weighed)
        let now = faultsNow(target, tick)
        remember(now)
        guard now.tells(since: before) else { return }
        guard now.areTooMany(since: before) else { return target.inode.pointee.forgetRests() }
        target.inode.pointee.beginRest(tick)
        target.inode.set(InodeFlag.aloof)
        target.inode.updateLimits()
        remapWindow(target.inode)
    }

    private func remember(_ now: WriteFaults) {
        let thread = ps_thread_current()
        thread.pointee.faults = now.faults
        thread.pointee.writes = now.writes
        thread.pointee.weighed = now.tick
    }

    private func faultsNow(_ target: Target, _ tick: Int64) -> WriteFaults {
        WriteFaults(
            faults: ps_sys_thread_faults(), writes: UInt32(truncatingIfNeeded: target.thread.servedWrites), tick: tick)
    }

    /// A write to a file on a page cache that is left to the kernel. True: for long enough, and served from now on.
    func hasRested(_ target: Target) -> Bool {
        guard !target.inode.pointee.isResting else { return false }
        target.inode.clear(InodeFlag.aloof)
        target.inode.updateLimits()
        remapWindow(target.inode)
        // What was before is no matter: one tick tells.
        remember(faultsNow(target, ps_sys_coarse_now()))
        return true
    }
}

/// Faults of one thread, the writes it had served, and when that was (``ps_sys_coarse_now()``).
///
/// Measured, ext4, CPU time: a write of 4 KiB by the kernel 890 to 1,165 ns; by a store 1,987 ns where it is the only
/// one to its page between two syncs, with four 647 ns each, with sixteen 355 ns; and the sync 630 and 1,590 ns a page.
struct WriteFaults {
    var faults: UInt32
    var writes: UInt32
    var tick: Int64

    /// Fewer writes than that to a fault lose.
    static let worth: UInt32 = 5
    /// Of fewer nothing is said: they lose little, whatever they cost.
    static let fewest: UInt32 = 16
    /// Older numbers are of other times, ns.
    static let longest: Int64 = 100_000_000

    /// Whether anything can be said.
    func tells(since before: WriteFaults) -> Bool {
        let age = tick &- before.tick
        return age >= 0 && age <= WriteFaults.longest && writes &- before.writes >= WriteFaults.fewest
    }

    func areTooMany(since before: WriteFaults) -> Bool {
        guard tells(since: before) else { return false }
        let writes = writes &- before.writes
        return UInt64(faults &- before.faults) &* UInt64(WriteFaults.worth) > UInt64(writes)
    }
}
