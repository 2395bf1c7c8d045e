/// Four small numbers in one word, so that the served path loads them at once.
struct Geometry {
    let bits: UInt32

    @inline(__always)
    init(bits: UInt32) { self.bits = bits }

    init(stepShift: UInt32, regionShift: UInt32, threshold: UInt32, statistics: UInt32) {
        bits = stepShift & 0xff | (regionShift & 0xff) << 8 | (threshold & 0xff) << 16 | (statistics & 0xff) << 24
    }

    /// log2 of the distance of the end probe, bytes: the size of what truncation unmaps at once.
    @inline(__always)
    var stepShift: Int64 { Int64(bits & 0x3f) }
    /// log2 of the size of a heat region, bytes.
    @inline(__always)
    var regionShift: Int64 { Int64(bits >> 8 & 0x3f) }
    /// Calls after which a region is hot.
    @inline(__always)
    var threshold: UInt8 { UInt8(truncatingIfNeeded: bits >> 16) }

    /// Which mount's counters the file's calls go to, below PS_STATS_MOUNTS.
    @inline(__always)
    var statistics: Int { Int(bits >> 24 & 3) }

    /// The end of [0, end), rounded up to the next step.
    @inline(__always)
    func probeOffset(_ end: Int64) -> Int64 {
        let step = Int64(1) << stepShift
        return (end &+ step &- 1) & ~(step &- 1)
    }

    /// Geometry for a file of `size` bytes on `mount`.
    ///
    /// Mapping a region costs about as much as a hundred small calls through the kernel (a fault per 64 KiB: the kernel
    /// maps 16 pages around a read fault); so a region is mapped when it has seen a good part of that, and small files
    /// sooner, in proportion to their pages. `eager`: everything at once (PMEMSHIM_MAP_AFTER=0).
    static func forFile(size: Int64, mount: Mount, eager: Bool) -> Geometry {
        var shift: UInt32 = 21
        while shift < 40, size >> Int64(shift &+ 6) > 0 { shift &+= 1 }
        let regionBytes = min(max(size, 4_096), Int64(1) << Int64(shift))
        let pages = regionBytes >> 12
        let threshold: Int64 = eager ? 0 : mount.stepShift > 12 ? 4 : min(max(pages / 8, 2), 64)
        return Geometry(
            stepShift: mount.stepShift, regionShift: shift, threshold: UInt32(truncatingIfNeeded: threshold),
            statistics: mount.statisticsIndex)
    }
}
