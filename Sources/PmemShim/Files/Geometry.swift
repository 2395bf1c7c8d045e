/// Four small numbers in one word, so that the served path loads them at once.
struct Geometry {
    let bits: UInt32

    @inline(__always)
    init(bits: UInt32) { self.bits = bits }

    init(regionShift: UInt32, threshold: UInt32, sampleShift: UInt32, statistics: UInt32) {
        bits =
            regionShift & 0x3f | (sampleShift & 0xf) << 12 | (statistics & 3) << 16
            | (threshold & 0xff) << 24
    }

    /// log2 of the size of a heat region, bytes.
    @inline(__always)
    var regionShift: Int64 { Int64(bits & 0x3f) }
    /// Heat at which a region is served.
    @inline(__always)
    var threshold: UInt8 { UInt8(truncatingIfNeeded: bits >> 24) }
    /// Whether regions may be cold at all.
    @inline(__always)
    var hasThreshold: Bool { bits >= 1 << 24 }
    var withoutThreshold: Geometry { Geometry(bits: bits & 0xff_ffff) }
    /// log2 of the calls that make one unit of heat.
    var sampleShift: UInt32 { bits >> 12 & 0xf }
    /// The region that `offset` lies in, modulo 64. A shift takes the low six bits of its distance, where `regionShift`
    /// is: no instruction takes it out.
    @inline(__always)
    func region(_ offset: Int64) -> Int { Int(truncatingIfNeeded: (offset &>> Int64(bits)) & 63) }
    /// Which mount's counters the file's calls go to, below PS_STATS_MOUNTS.
    @inline(__always)
    var statistics: Int { Int(bits >> 16 & 3) }

    /// Heat of a region that may be served page by page but not as a whole: see ``InodeFlag/sparse``.
    @inline(__always)
    var warmest: UInt8 { threshold == 0 ? 0 : threshold &- 1 }
    /// The geometry of a file with holes: a threshold of 0 becomes 1, since no page may be served before it has been
    /// looked at.
    var withHoles: Geometry { threshold == 0 ? Geometry(bits: bits | 1 << 24) : self }

    /// Geometry for a file of `size` bytes on `mount`.
    ///
    /// A page in a window costs when it is first touched (measured, tmpfs: 370 ns, 16 at a time) and when the window
    /// goes (270 ns), together about what one call through the kernel costs more than a copy. Without knowing the
    /// future, the best rule is to pay once the calls have cost as much, which would be at half as many calls as the
    /// region has pages (databases move two pages and more at a time). Databases live long, so half of that is enough:
    /// a region is served when it has seen a quarter as many calls as it has pages, by reads in order much later
    /// (``Engine/warmByRead(_:_:_:)``). A huge page is one fault.
    ///
    /// A page of a DAX file costs more, 5,000 instructions against the 2,000 that a call through the kernel costs more
    /// than a copy, one of 2 MiB hardly more than that. So where the file lies so that such pages map it, nothing is
    /// waited for; elsewhere the calls have to be as many as the pages: what is read or written once in order is never
    /// mapped.
    ///
    /// `eager`: everything at once (PMEMSHIM_MAP_AFTER=0). `liesInGroups`: of a file on DAX, whether most of it lies in
    /// groups of 2 MiB that one page can map.
    static func forFile(size: Int64, mount: Mount, eager: Bool, liesInGroups: Bool? = nil) -> Geometry {
        var region: UInt32 = 21
        while region < 40, (size &- 1) >> Int64(region &+ 6) > 0 { region &+= 1 }
        let regionBytes = min(max(size, 4_096), Int64(1) << Int64(region))
        let perCall: Int64 = liesInGroups == nil ? 14 : 12
        var calls = mount.hasHugePages ? max(regionBytes >> 21, 1) &* 4 : max(regionBytes >> perCall, 2)
        var sample: UInt32 = 0
        while calls > 255, sample < 15 {
            calls >>= 1
            sample &+= 1
        }
        return Geometry(
            regionShift: region,
            threshold: eager || liesInGroups == true ? 0 : UInt32(truncatingIfNeeded: min(calls, 255)),
            sampleShift: sample,
            statistics: mount.statisticsIndex)
    }
}
