import CShimSys
import Synchronization

extension Inode {
    /// Not on DAX: where the furthest write began that was passed on, bytes.
    var frontier: Int64 {
        get { synced.size.load(ordering: .relaxed) }
        nonmutating set { synced.size.store(newValue, ordering: .relaxed) }
    }

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
        let last = pointee.lastCut
        guard cuts != 0, last != 0 else { return 0 }
        return ps_sys_coarse_now() &- last < 1_000_000_000 ? min(UInt32(cuts), Self.mostCuts) : 0
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

    /// Counts a served call in a region that is hot, until it is full.
    @inline(__always)  // the deepest of what a served write calls
    func warmFurther(_ offset: Int64, _ target: Target) {
        let turn = target.thread.record.pointee.own.turn.load(ordering: .relaxed) &+ 1
        target.thread.record.pointee.own.turn.store(turn, ordering: .relaxed)
        guard turn & ((UInt32(1) << target.geometry.sampleShift) &- 1) == 0 else { return }
        let counter = heatCounter(offset, target.geometry)
        let heat = counter.pointee.load(ordering: .relaxed)
        if heat < Heat.full, !has(InodeFlag.sparse) { counter.pointee.store(heat &+ 1, ordering: .relaxed) }
    }

    /// Whether nothing so far behind has been written before. What is written once, in order, is not written again
    /// soon: a window would cost a fault for each page, and where space is only preallocated the clearing of it, twice
    /// as much as the kernel's write.
    func isFirstPass(_ offset: Int64) -> Bool {
        guard offset > pointee.frontier else { return false }
        pointee.frontier = offset
        return true
    }

    /// Counts calls that were passed on before the file was known, where they can only have been in one region.
    func credit(_ calls: UInt32) {
        let geometry = Geometry(bits: pointee.geometry.load(ordering: .relaxed))
        guard (pointee.size.load(ordering: .relaxed) &- 1) >> geometry.regionShift == 0 else { return }
        let counter = heatCounter(0, geometry)
        let most = has(InodeFlag.sparse) ? geometry.warmest : geometry.threshold
        let credited = min(UInt32(most), calls >> geometry.sampleShift)
        guard credited > UInt32(counter.pointee.load(ordering: .relaxed)),
            credited < UInt32(most) || mayBecomeHot(geometry)
        else { return }
        counter.pointee.store(UInt8(truncatingIfNeeded: credited), ordering: .relaxed)
    }
}
