import CShimSys

/// What is known of one page. A page's word counts by its own generation; the layers above tell a reader of the whole
/// array what it may skip.
extension PageArray {
    /// Flags of page `page`; none where it has not been made ready under this generation, or there is no such page.
    @inline(__always)
    package func flags(of page: UInt64) -> PageFlags {
        guard page < pageCount else { return [] }
        return PageFlags(rawValue: PageFlags.believed(value(page, .page)))
    }

    /// Whether anybody has said anything of a page of this array, which belongs to one file: under its tag. Memory may
    /// be there from the file that had the place before.
    package var saysSomething: Bool {
        var page: UInt64 = 0
        while page < pageCount {
            if isGroupReady(of: page) { return true }
            page &+= groupPages
        }
        return false
    }

    /// Sets flags, and whatever layers above are not ready yet.
    package func insert(_ flags: PageFlags, of page: UInt64) {
        guard prepare(page) != nil else { return }
        change(word(page, .page)) { PageFlags.believed($0) | flags.rawValue | PageFlags.ready.rawValue }
        if flags.contains(.allocated) { noteTold(of: page) }
    }

    /// Clears flags. Nothing happens to a page that is in its initial state.
    package func remove(_ flags: PageFlags, of page: UInt64) {
        guard page < pageCount, value(page, .page) != 0 else { return }
        change(word(page, .page)) {
            let before = PageFlags.believed($0)
            return before & ~flags.rawValue | before & PageFlags.ready.rawValue
        }
    }

    /// Which page of which file lies on this one.
    package struct Owner: Equatable, Sendable {
        package var inode: UInt64
        /// In device pages from the start of the file.
        package var index: UInt64
    }

    /// Nothing where nobody has said. Two who say so at once may leave the inode of one with the index of the other:
    /// for people, and a hint where to look, no more.
    package func owner(of page: UInt64) -> Owner? {
        guard flags(of: page).contains(.owned) else { return nil }
        return Owner(
            inode: load(word(page, .ownerInode)),
            index: load(word(page, .ownerIndex)))
    }

    package func setOwner(_ owner: Owner, of page: UInt64) {
        guard prepare(page) != nil else { return }
        _ = ps_soft_store(word(page, .ownerInode), owner.inode)
        _ = ps_soft_store(word(page, .ownerIndex), owner.index)
        insert(.owned, of: page)
    }

    /// Sampled reads and writes since the device was attached; at most 4,294,967,295 each.
    package func reads(of page: UInt64) -> UInt32 { page < pageCount ? value(page, .reads) : 0 }
    package func writes(of page: UInt64) -> UInt32 { page < pageCount ? value(page, .writes) : 0 }

    package func addReads(_ count: UInt32, to page: UInt64) { add(count, page, .reads) }
    package func addWrites(_ count: UInt32, to page: UInt64) { add(count, page, .writes) }

    private func add(_ count: UInt32, _ page: UInt64, _ field: Field) {
        guard prepare(page) != nil else { return }
        change(word(page, field)) { before in
            let (sum, overflow) = before.addingReportingOverflow(count)
            return overflow ? .max : sum
        }
    }

    /// Whether the section, or the group, that page `page` belongs to is ready under this generation.
    package func isSectionReady(of page: UInt64) -> Bool {
        let first = page & ~(sectionPages &- 1)
        return page < pageCount && value(first, .section) & layerReady != 0
    }

    package func isGroupReady(of page: UInt64) -> Bool {
        let first = page & ~(groupPages &- 1)
        return page < pageCount && value(first, .group) & layerReady != 0
    }

    @inline(__always)
    private func value(_ page: UInt64, _ field: Field) -> UInt32 {
        guard isPresent(page) else { return 0 }
        return PageWord(bits: load(word(page, field))).value(under: tag)
    }
}

private let layerReady = UInt32(PS_LAYER_READY.rawValue)
private let sectionPages = UInt64(PS_DEVICE_SECTION_PAGES)
private let groupPages = UInt64(PS_DEVICE_GROUP_PAGES)
