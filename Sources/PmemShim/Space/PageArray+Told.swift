import CShimSys

/// What the layers above the pages say of ``PageFlags/allocated``, so that taking it back of many pages at once costs
/// what has been said, and not what might have been: files are cut to an end far more often than anybody has told of
/// pages behind it.
extension PageArray {
    /// Says that `page` is allocated, as far as is known. After its own word has been set: who clears them all takes
    /// these bits back first, and so either finds the page's or leaves these to this.
    func noteTold(of page: UInt64) {
        let group = word(page & ~(groupPages &- 1), .group)
        let flag = blockFlag(page)
        if told(group) & flag == 0 { change(group) { $0 | flag } }
        changeGroups(of: page) { $0 | groupFlag(page) }
    }

    /// Clears ``PageFlags/allocated`` of every page from `first` up to and without `end`. One load where nobody has set
    /// it in the section, and otherwise one for each group, and one for each page of a block, where somebody has.
    package func forgetAllocated(from first: UInt64, to end: UInt64) {
        let end = min(end, pageCount)
        var page = first
        while page < end {
            let section = page & ~(sectionPages &- 1)
            let beyond = min(section &+ sectionPages, end)
            var groups = groups(of: section)
            while groups != 0, page < beyond {
                let next = min((page | (groupPages &- 1)) &+ 1, beyond)
                if groups & groupFlag(page) != 0 { forgetAllocated(ofGroupFrom: page, to: next) }
                groups &= ~groupFlag(page)
                page = next
            }
            page = beyond
        }
    }

    private func forgetAllocated(ofGroupFrom first: UInt64, to end: UInt64) {
        guard isPresent(first) else { return }
        let group = first & ~(groupPages &- 1)
        if first == group, end == min(group &+ groupPages, pageCount) {
            changeGroups(of: first) { $0 & ~groupFlag(first) }
        }
        let said = told(word(group, .group))
        var page = first
        while said >> 16 != 0, page < end {
            let next = min((page | (blockPages &- 1)) &+ 1, end)
            if said & blockFlag(page) != 0 { forgetAllocated(ofBlockFrom: page, to: next) }
            page = next
        }
    }

    private func forgetAllocated(ofBlockFrom first: UInt64, to end: UInt64) {
        if first & (blockPages &- 1) == 0, end == min(first &+ blockPages, pageCount) {
            let flag = blockFlag(first)
            change(word(first & ~(groupPages &- 1), .group)) { $0 & ~flag }
        }
        for page in first..<end {
            // Of whatever generation: `remove` looks closer.
            if UInt32(truncatingIfNeeded: load(word(page, .page))) & PageFlags.allocated.rawValue != 0 {
                remove(.allocated, of: page)
            }
        }
    }

    private func told(_ word: UnsafeMutablePointer<UInt64>) -> UInt32 { PageWord(bits: load(word)).value(under: tag) }

    /// The groups of a section of which something has been said; all, where the array has no room to say so.
    private func groups(of page: UInt64) -> UInt64 {
        let second = page & ~(sectionPages &- 1) | 1
        return second < pageCount ? load(word(second, .told)) : UInt64.max
    }

    private func changeGroups(of page: UInt64, _ body: (UInt64) -> UInt64) {
        let second = page & ~(sectionPages &- 1) | 1
        guard second < pageCount else { return }
        let word = word(second, .told)
        var seen = load(word)
        // Bounded as in ``change(_:_:)``.
        for _ in 0..<4_096 {
            let wanted = body(seen)
            if wanted == seen || ps_soft_exchange(word, &seen, wanted) != 2 { return }
        }
    }

    private func groupFlag(_ page: UInt64) -> UInt64 { 1 << ((page / groupPages) & 63) }

    /// The bit in the word of its group that `page` shares with the 31 others of its block.
    private func blockFlag(_ page: UInt64) -> UInt32 {
        PS_LAYER_TOLD_FIRST.rawValue << UInt32(truncatingIfNeeded: (page & (groupPages &- 1)) / blockPages)
    }
}

private let sectionPages = UInt64(PS_DEVICE_SECTION_PAGES)
private let groupPages = UInt64(PS_DEVICE_GROUP_PAGES)
/// There are 16 blocks in a group, as bits in the upper half of its value.
private let blockPages = UInt64(PS_DEVICE_GROUP_PAGES) / 16
