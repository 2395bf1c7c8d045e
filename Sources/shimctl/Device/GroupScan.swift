import CShimSys
import PmemShim
import SystemPackage

/// Goes through the groups of page arrays that are ready, wherever the arrays are: read, never mapped (a mapping could
/// fault), and only as far as bits above say that there is something.
struct GroupScan {
    private let reader: PageArrayReader
    private let pageCount: UInt64

    init(descriptor: FileDescriptor, start: UInt64, pageCount: UInt64, tag: UInt32) {
        reader = PageArrayReader(descriptor: descriptor, start: start, tag: tag)
        self.pageCount = pageCount
    }

    /// - Parameter body: told the number of the first page of a group, and the group's descriptors, of which page 0 is
    ///   that one; they are valid until it returns.
    func forEachReadyGroup(_ body: (UInt64, PageArray) throws -> Void) throws {
        var section: UInt64 = 0
        while section < pageCount {
            let end = min(section + UInt64(PS_DEVICE_SECTION_PAGES), pageCount)
            if let head = try reader.pages(from: section, count: 1), head.isSectionReady(of: 0) {
                for group in stride(from: section, to: end, by: Int(PS_DEVICE_GROUP_PAGES)) {
                    let count = min(UInt64(PS_DEVICE_GROUP_PAGES), end - group)
                    guard let first = try reader.pages(from: group, count: 1), first.isGroupReady(of: 0),
                        let whole = try reader.pages(from: group, count: count)
                    else { continue }
                    try body(group, whole)
                }
            }
            section = end
        }
    }
}
