import Synchronization

extension UnsafeMutablePointer where Pointee == Inode {
    /// Counts `calls` calls that were passed on before the file was known, where they can only have been in one region.
    func credit(_ calls: UInt32) {
        let geometry = Geometry(bits: pointee.geometry.load(ordering: .relaxed))
        guard (pointee.size.load(ordering: .relaxed) &- 1) >> geometry.regionShift == 0 else { return }
        let counter = heatCounter(0, geometry)
        let most = has(InodeFlag.sparse) ? geometry.warmest : geometry.threshold
        let credited = min(UInt32(most), calls >> geometry.sampleShift)
        guard credited > UInt32(counter.pointee.load(ordering: .relaxed)) else { return }
        counter.pointee.store(UInt8(truncatingIfNeeded: credited), ordering: .relaxed)
    }
}
