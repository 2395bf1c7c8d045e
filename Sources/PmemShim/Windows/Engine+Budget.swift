import CShimSys
import Synchronization

// How much windows may weigh (``Weight``): what PMEMSHIM_MEMORY says, or a sixteenth of what the memory cgroup allows,
// at most a 64th of the machine's memory.
extension Engine {
    /// Takes room for the window that a file is about to get, pages of 4 KiB. Nothing: there is not so much.
    func takeWeight(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, _ facts: ps_file_facts) -> UInt32? {
        learnBudget(held)
        // Of a file with holes no more can be touched than it has pages.
        let pages = Weight.ofWindow &+ UInt32(clamping: facts.blocks >> 3 &+ 1)
        let weight = min(inode.weightAtFirst(geometry(inode, size: facts.size)), pages)
        return takeWeight(weight) ? weight : nil
    }

    /// Finds the budget, before the first window of the process.
    private func learnBudget(_ held: LockHeld) {
        guard files.pointee.mostWeight.load(ordering: .relaxed) == 0 else { return }
        let bytes: UInt64
        if Settings.current.pointee.has_memory != 0 {
            bytes = Settings.current.pointee.memory
        } else {
            let all = ps_sys_memory()
            bytes = min(all == 0 ? UInt64.max : all >> 6, cgroupLimit(held).map { $0 >> 4 } ?? UInt64.max)
        }
        // Never 0, which would be asked for again.
        let pages = max(min(bytes >> 12, UInt64(UInt32.max)), 1)
        files.pointee.mostWeight.store(UInt32(truncatingIfNeeded: pages), ordering: .relaxed)
    }

    /// The least limit of the memory cgroup and those above it, bytes. Nothing: it has none, or it cannot be seen.
    private func cgroupLimit(_ held: LockHeld) -> UInt64? {
        let scratch = scratch(held)
        let name: StaticString = "/proc/self/cgroup"
        let half = Arena.scratchLength / 4
        guard let count = contents(UnsafePointer<CChar>(OpaquePointer(name.utf8Start)), scratch, half),
            let cgroup = MemoryCgroup(UnsafeBufferPointer(start: UnsafePointer(scratch), count: count))
        else { return nil }
        let path = UnsafeMutableBufferPointer(start: scratch + half, count: half)
        let text = scratch + 2 &* half
        var least: UInt64?
        var levels = 0
        // As deep as anybody nests them, and not for ever.
        while levels < 16, cgroup.fileOfLimit(levels, path) {
            levels &+= 1
            let file = UnsafeMutableRawPointer(scratch + half).assumingMemoryBound(to: CChar.self)
            guard let count = contents(file, text, 64),
                let limit = MemoryCgroup.limit(UnsafeBufferPointer(start: UnsafePointer(text), count: count))
            else { continue }
            least = min(limit, least ?? UInt64.max)
        }
        return least
    }

    /// Bytes of a short file. Nothing: it cannot be read.
    private func contents(_ path: UnsafePointer<CChar>, _ room: UnsafeMutablePointer<UInt8>, _ most: Int) -> Int? {
        let fd = ps_sys_open(path, OpenFlag.closeOnExec, 0)
        guard fd >= 0 else { return nil }
        let count = ps_sys_read(Int32(truncatingIfNeeded: fd), room, most)
        _ = ps_sys_close(Int32(truncatingIfNeeded: fd))
        return count > 0 ? count : nil
    }
}
