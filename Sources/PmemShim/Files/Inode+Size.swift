import CShimSys
import Synchronization

extension Inode {
    /// Not on DAX: ``ps_sys_coarse_now()`` when this process cut the file last; 0: never.
    var lastCut: Int64 {
        get { Int64(bitPattern: syncCost.load(ordering: .relaxed)) }
        nonmutating set { syncCost.store(UInt64(bitPattern: newValue), ordering: .relaxed) }
    }
}

extension UnsafeMutablePointer where Pointee == Inode {
    /// A read behind the known end, or of a file without a window that has been cut often: whether to look now. Each
    /// cut of the file makes that twice as rare, and each look half as rare again.
    func isTimeToLearnSize() -> Bool {
        let wait = cutWait
        let calls = pointee.sparseCalls.wrappingAdd(1, ordering: .relaxed).newValue
        guard calls & (UInt32(8) << wait &- 1) == 1 else { return false }
        if wait > 0 { pointee.looks.store(UInt8(truncatingIfNeeded: wait &- 1), ordering: .relaxed) }
        return true
    }

    /// Cuts of late, less the looks since: from 0 to ``mostCuts``. A file that is cut again and again has new holes
    /// each time, and the kernel goes through its window for each, so that looking and mapping are worth less and less.
    /// A second after the last one all is forgotten. On DAX it is 0: what stands in the place of the time is none.
    var cutWait: UInt32 {
        let cuts = pointee.looks.load(ordering: .relaxed)
        guard cuts != 0 else { return 0 }
        // Below 0 where the clock has been set back, and of what is no time.
        let age = ps_sys_coarse_now() &- pointee.lastCut
        return age >= 0 && age < 1_000_000_000 ? min(UInt32(cuts), Self.mostCuts) : 0
    }

    static var mostCuts: UInt32 { 12 }

    /// This process has cut the file, which is not on DAX, or made it longer by a hole after that.
    func noteCut() {
        pointee.looks.store(UInt8(min(cutWait &+ 1, Self.mostCuts)), ordering: .relaxed)
        pointee.lastCut = ps_sys_coarse_now()
    }

    /// The file ends at `size` now.
    func cut(to size: Int64) {
        pointee.size.store(size, ordering: .relaxed)
        // What was proved of its regions was proved before.
        if has(InodeFlag.sparse) { distrust() }
        updateLimits()
    }
}
