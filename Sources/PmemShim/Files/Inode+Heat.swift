import Synchronization

extension Inode {
    /// Not on DAX: where the furthest write began that was passed on, bytes.
    var frontier: Int64 {
        get { synced.size.load(ordering: .relaxed) }
        nonmutating set { synced.size.store(newValue, ordering: .relaxed) }
    }
}

// What makes a region hot, and what does not.
extension UnsafeMutablePointer where Pointee == Inode {
    /// Counts a call of `thread` in the region of `offset` that was passed on: by what it moved, `count` bytes.
    func warm(_ offset: Int64, _ count: Int, _ thread: CurrentThread) {
        let geometry = Geometry(bits: pointee.geometry.load(ordering: .relaxed))
        let turn = thread.record.pointee.own.turn.load(ordering: .relaxed) &+ 1
        thread.record.pointee.own.turn.store(turn, ordering: .relaxed)
        guard turn & ((UInt32(1) << geometry.sampleShift) &- 1) == 0 else { return }
        // Two threads at once may count for one: a hint may be too low.
        let counter = heatCounter(offset, geometry)
        let heat = counter.pointee.load(ordering: .relaxed)
        let most = has(InodeFlag.sparse) ? geometry.warmest : Heat.full
        guard heat < most else { return }
        let wanted = has(InodeFlag.sparse) ? geometry.warmest : geometry.threshold
        let warmer = heat &+ min(Price.callsOf(bytes: count), most &- heat)
        if heat < wanted, warmer >= wanted, !mayBecomeHot(geometry) { return }
        counter.pointee.store(warmer, ordering: .relaxed)
        if heat < geometry.threshold, warmer >= geometry.threshold { settleHeat(geometry) }
    }

    /// Once every region of the file is hot, nothing is left to be asked of them: the threshold is 0 from then on.
    private func settleHeat(_ geometry: Geometry) {
        let last = (pointee.size.load(ordering: .relaxed) &- 1) >> geometry.regionShift
        guard last >= 0 else { return }
        for region in 0...min(last, 63) where heat(region << geometry.regionShift, geometry) < geometry.threshold {
            return
        }
        setGeometry(geometry.withoutThreshold)
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

    /// Of a file with holes: all of its regions have been found to be whole.
    func isWhole(_ geometry: Geometry) -> Bool {
        let last = (pointee.size.load(ordering: .relaxed) &- 1) >> geometry.regionShift
        return last >= 0 && (0...min(last, 63)).allSatisfy { heat($0 << geometry.regionShift, geometry) == Heat.full }
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
