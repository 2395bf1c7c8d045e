import Synchronization

// Where end probes are made (``Target/prove(_:limit:)``).
extension Inode {
    /// Not on DAX: where the page begins that can be read for end probes, bytes of the file; 0: none can. It changes
    /// under the engine lock, together with the mapping.
    var readableProbe: Int64 {
        get { synced.blocks.load(ordering: .relaxed) & ~4_095 }
        nonmutating set { synced.blocks.store(newValue, ordering: .relaxed) }
    }

    /// The same, as long as the page is trusted to be no hole.
    var probePage: Int64 {
        let word = synced.blocks.load(ordering: .relaxed)
        return word & 1 == 0 ? word : 0
    }

    /// Until the page moves, or is put where it is once more.
    func distrustProbe() { synced.blocks.bitwiseOr(1, ordering: .relaxed) }

    /// Whether there is a window, and end probes are made in a second mapping. On DAX they are made in the window.
    var hasProbePage: Bool {
        // In this order: the probe base of before may stand there until there is a base.
        let base = base.load(ordering: .acquiring)
        return base != 0 && probeBase.load(ordering: .relaxed) != base
    }
}

extension UnsafeMutablePointer where Pointee == Inode {
    /// The last place where an end probe says something of the whole file, by what is known of it; 0: there is none.
    var furthestProbe: Int64 {
        let size = pointee.size.load(ordering: .relaxed)
        var furthest: Int64 = 0
        if pointee.base.load(ordering: .relaxed) != 0, size > 0 {
            // The page in which the file ends stays the kernel's: the probe needs a byte after the range. Never below
            // 0, which the served path would take for a very large number: between the two stores that make or end a
            // window there is a base without a length.
            furthest = max(0, min((size &- 1) & ~4_095, pointee.length.load(ordering: .relaxed) &- 4_096))
        }
        guard has(InodeFlag.sparse) else { return furthest }
        // The probe must find a page, and the end of the window may be none. Behind the 64th region they begin anew:
        // what is known of one is not known of the other.
        let geometry = Geometry(bits: pointee.geometry.load(ordering: .relaxed))
        let top = pointee.top.load(ordering: .relaxed)
        return top <= min(furthest, 64 << geometry.regionShift) ? top : 0
    }

    /// Whether a range that ends at `end` would be proved, and is not, because the page for probes lies elsewhere.
    func isProbeElsewhere(_ end: Int64) -> Bool {
        guard pointee.hasProbePage else { return false }
        let furthest = furthestProbe
        let page = pointee.probePage
        return end <= furthest && (end > page || page > furthest)
    }
}
