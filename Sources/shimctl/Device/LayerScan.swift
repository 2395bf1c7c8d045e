import CShimSys
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// What the page arrays of a device say: read, never mapped (a mapping could fault), and only as far as bits above say
/// that there is something.
struct LayerScan {
    private let reader: PageArrayReader
    private let geometry: DeviceGeometry

    struct SectionState: Encodable {
        let section: UInt64
        var groupsReady: UInt64 = 0
        var pagesReady: UInt64 = 0
    }

    /// As `shimctl inspect --json` writes it (docs/shimctl.md).
    struct Totals: Encodable {
        var sectionsReady: UInt64 = 0
        var pagesReady: UInt64 = 0
        var pagesAllocated: UInt64 = 0
        var pagesBad: UInt64 = 0
        var pagesOwned: UInt64 = 0
        var reads: UInt64 = 0
        var writes: UInt64 = 0
        var groupsReady: UInt64 = 0
        /// Those that are ready only.
        var sections: [SectionState] = []
    }

    init(_ descriptor: FileDescriptor, at start: UInt64, _ superblock: Superblock) {
        reader = PageArrayReader(descriptor: descriptor, start: start, tag: superblock.tag)
        geometry = superblock.geometry
        // One page of every 2 MiB: what is read ahead would be the greater part, and stays behind in the cache.
        _ = posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_RANDOM)
    }

    /// - Parameter progress: told how many sections have been looked at.
    func totals(progress: (UInt64) -> Void) throws -> Totals {
        var totals = Totals()
        for section in 0..<geometry.sectionCount {
            progress(section)
            let first = section * pagesPerSection
            // The group's word of the first descriptor stands in the same 64 bytes.
            guard let head = try reader.pages(from: first, count: 1), head.isSectionReady(of: 0) else { continue }
            var state = SectionState(section: section)
            let end = (first + geometry.pages(inSection: section) + pagesPerGroup - 1) / pagesPerGroup
            for group in first / pagesPerGroup..<end { try add(group, to: &totals, &state) }
            totals.sectionsReady += 1
            totals.groupsReady += state.groupsReady
            totals.pagesReady += state.pagesReady
            totals.sections.append(state)
        }
        return totals
    }

    private func add(_ group: UInt64, to totals: inout Totals, _ state: inout SectionState) throws {
        let first = group * pagesPerGroup
        guard let head = try reader.pages(from: first, count: 1), head.isGroupReady(of: 0) else { return }
        state.groupsReady += 1
        let count = min(pagesPerGroup, geometry.pageCount - first)
        guard let whole = try reader.pages(from: first, count: count) else { return }
        for page in 0..<whole.pageCount {
            let flags = whole.flags(of: page)
            if flags.contains(.ready) { state.pagesReady += 1 }
            if flags.contains(.allocated) { totals.pagesAllocated += 1 }
            if flags.contains(.bad) { totals.pagesBad += 1 }
            if flags.contains(.owned) { totals.pagesOwned += 1 }
            totals.reads += UInt64(whole.reads(of: page))
            totals.writes += UInt64(whole.writes(of: page))
        }
    }

    struct PageState {
        let sectionReady: Bool
        let groupReady: Bool
        /// What the page's own words say; believed only where both layers above are ready.
        let flags: PageFlags
        let owner: PageArray.Owner?
        let reads: UInt32
        let writes: UInt32
    }

    /// - Parameter page: below the device's count.
    func page(_ page: UInt64) throws -> PageState {
        // One after the other: what is read lies in the same room.
        let section = try reader.pages(from: page / pagesPerSection * pagesPerSection, count: 1)
        let sectionReady = section?.isSectionReady(of: 0) ?? false
        let group = try reader.pages(from: page / pagesPerGroup * pagesPerGroup, count: 1)
        let groupReady = sectionReady && (group?.isGroupReady(of: 0) ?? false)
        guard groupReady, let own = try reader.pages(from: page, count: 1) else {
            return PageState(
                sectionReady: sectionReady, groupReady: groupReady, flags: [], owner: nil, reads: 0, writes: 0)
        }
        return PageState(
            sectionReady: true, groupReady: true, flags: own.flags(of: 0), owner: own.owner(of: 0),
            reads: own.reads(of: 0), writes: own.writes(of: 0))
    }
}

private let pagesPerSection = UInt64(PS_DEVICE_SECTION_PAGES)
private let pagesPerGroup = UInt64(PS_DEVICE_GROUP_PAGES)
