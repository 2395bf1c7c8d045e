import CShimSys
import Synchronization

/// What windows weigh: page tables, one page of 4 KiB for each 2 MiB of a window that is touched. They are memory of
/// the process, which its cgroup is charged for, and which natively it would not have needed. So there is a budget of
/// them. A region of a file becomes hot only if there is room for its own; where there is not, its calls stay the
/// kernel's until other windows have gone.
enum Weight {
    /// log2 of what one page of page tables maps, bytes.
    static let shift: Int64 = 21
    /// Of a window besides: that of its end probes, and a page of the level above.
    static let ofWindow: UInt32 = 3
}

extension Engine {
    /// Takes room for `pages` of page tables. False: there is not so much.
    func takeWeight(_ pages: UInt32) -> Bool {
        let most = files.pointee.mostWeight.load(ordering: .relaxed)
        var seen = files.pointee.weight.load(ordering: .relaxed)
        while true {
            guard seen <= most, pages <= most &- seen else { return false }
            let (taken, now) = files.pointee.weight.compareExchange(
                expected: seen, desired: seen &+ pages, ordering: .relaxed)
            if taken { return true }
            seen = now
        }
    }

    func giveWeight(_ pages: UInt32) {
        var seen = files.pointee.weight.load(ordering: .relaxed)
        while true {
            // Threads may lose a count to each other (``Inode/calls``): never below nothing.
            let (given, now) = files.pointee.weight.compareExchange(
                expected: seen, desired: seen &- min(seen, pages), ordering: .relaxed)
            if given { return }
            seen = now
        }
    }
}

extension UnsafeMutablePointer where Pointee == Inode {
    /// Page tables of one region, pages of 4 KiB.
    private func weightOfRegion(_ geometry: Geometry) -> UInt32 {
        let size = max(pointee.size.load(ordering: .relaxed), 1)
        return UInt32(truncatingIfNeeded: max(min(size, Int64(1) << geometry.regionShift) >> Weight.shift, 1))
    }

    /// What the regions weigh that are hot when a window comes, and the window itself.
    func weightAtFirst(_ geometry: Geometry) -> UInt32 {
        let wanted = has(InodeFlag.sparse) ? geometry.warmest : geometry.threshold
        let last = min((pointee.size.load(ordering: .relaxed) &- 1) >> geometry.regionShift, 63)
        var hot: UInt32 = 0
        var region: Int64 = 0
        while region <= last {
            if heat(region << geometry.regionShift, geometry) >= wanted { hot &+= 1 }
            region &+= 1
        }
        let (regions, overflow) = hot.multipliedReportingOverflow(by: weightOfRegion(geometry))
        return overflow ? UInt32.max : min(regions, UInt32.max &- Weight.ofWindow) &+ Weight.ofWindow
    }

    /// A region has seen enough calls: whether it may become hot. Without a window nothing is weighed yet.
    @inline(never)  // rare, and deeper than what is called from a served write may be
    func mayBecomeHot(_ geometry: Geometry) -> Bool {
        guard pointee.base.load(ordering: .relaxed) != 0, let engine = Engine.current else { return true }
        let weight = weightOfRegion(geometry)
        guard engine.takeWeight(weight) else { return false }
        pointee.calls.wrappingAdd(weight, ordering: .relaxed)
        return true
    }
}
