import CShimSys
import Synchronization

// Holes that have come into a file: what its page arrays say of those pages is taken back, in all that this process has
// mapped. Without the engine lock, since the memory of an array may be gone.
extension Engine {
    /// Holes have come into [start, end), bytes, of the file with that identity (``PageKey/identity(_:)``), which may
    /// have no slot any more, or not yet.
    func noteHoles(ofFile identity: UInt64, from start: Int64, to end: Int64) {
        guard start >= 0, start < end, space.pointee.sections.load(ordering: .relaxed) > 0 else { return }
        forgetAllocated(ofFile: identity, from: start, to: end)
    }

    /// Holes may have come into [start, end): nothing there is known to be allocated.
    func noteHoles(_ inode: UnsafeMutablePointer<Inode>, from start: Int64, to end: Int64) {
        // On a device, what had been in those blocks is another's now, and says so itself.
        if mount(inode.pointee.mount).pointee.attached.count != 0 { forgetExtents() }
        let lowest = Int64(inode.pointee.lowestSection.load(ordering: .relaxed))
        let highest = Int64(inode.pointee.highestSection.load(ordering: .relaxed))
        // Only what was ever mapped.
        let first = max(start & ~4_095, lowest << 27)
        let beyond = min(end, (highest &+ 1) << 27)
        guard start >= 0, lowest <= highest, first < beyond else { return }
        if highest &- lowest < Allocation.fewSections {
            var at = first
            while at < beyond {
                let next = (at | Allocation.sectionMask) &+ 1
                let key = PageKey.section(inode.pointee.identity, UInt64(at >> 27))
                if let base = findSection(key) { forgetAllocated(base, key, from: at, to: min(next, beyond)) }
                at = next
            }
        } else {
            forgetAllocated(ofFile: inode.pointee.identity, from: first, to: beyond)
        }
    }

    /// The sections of a file whose arrays this process has mapped already: its slot is new, but hints of an earlier
    /// one, or of other processes, may be there.
    func noteMappedSections(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>) {
        inode.pointee.lowestSection.store(Int32.max, ordering: .relaxed)
        inode.pointee.highestSection.store(-1, ordering: .relaxed)
        guard space.pointee.sections.load(ordering: .relaxed) > 0,
            mount(inode.pointee.mount).pointee.attached.count == 0
        else { return }
        for index in 0..<Arena.sections {
            let entry = sectionEntry(index)
            guard entry.pointee.identity.load(ordering: .relaxed) == inode.pointee.identity,
                entry.pointee.key.load(ordering: .relaxed) != 0
            else { continue }
            _ = note(entry.pointee.section.load(ordering: .relaxed), inode)
            inode.set(InodeFlag.hinted)
        }
    }

    /// Goes through all that is mapped, of whatever file.
    private func forgetAllocated(ofFile identity: UInt64, from start: Int64, to end: Int64) {
        for index in 0..<Arena.sections {
            let entry = sectionEntry(index)
            guard entry.pointee.identity.load(ordering: .relaxed) == identity else { continue }
            let key = entry.pointee.key.load(ordering: .acquiring)
            let first = Int64(clamping: entry.pointee.section.load(ordering: .relaxed)) << 27
            let beyond = (first | Allocation.sectionMask) &+ 1
            guard key != 0, first < end, start < beyond else { continue }
            let base = entry.pointee.base.load(ordering: .relaxed)
            forgetAllocated(base, key, from: max(first, start), to: min(beyond, end))
        }
    }

    /// [start, end) lies in the section of that key.
    private func forgetAllocated(_ base: UInt, _ key: UInt64, from start: Int64, to end: Int64) {
        guard base != 0, let array = array(base, PageKey.tag(key), isSparse: true) else { return }
        let page = UInt64(start >> 12) & UInt64(PS_DEVICE_SECTION_PAGES &- 1)
        // With the page that `end` lies in: a hint less is no harm.
        array.forgetAllocated(from: page, to: page &+ UInt64((end &- 1) >> 12 &- start >> 12) &+ 1)
    }
}

extension Allocation {
    /// Sections that are looked up one by one; where there are more, all that is mapped is gone through.
    fileprivate static let fewSections: Int64 = 32
}
