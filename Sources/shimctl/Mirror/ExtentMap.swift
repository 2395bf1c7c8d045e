/// Which file each page of a device belongs to.
struct ExtentMap {
    struct Owner {
        let inode: UInt64
        let changed: Int64
        /// From the mount point on.
        let path: String
    }

    private(set) var owners: [Owner] = []
    private var extents: [(pages: Range<UInt64>, owner: Int)] = []
    /// Of each extent and all before it: the highest page behind them. Shared extents overlap.
    private var reach: [UInt64] = []

    mutating func add(_ owner: Owner, _ pages: [Range<UInt64>]) {
        owners.append(owner)
        for range in pages where !range.isEmpty { extents.append((range, owners.count - 1)) }
    }

    /// To be called when all have been added.
    mutating func sort() {
        extents.sort { $0.pages.lowerBound < $1.pages.lowerBound }
        reach = []
        var most: UInt64 = 0
        for extent in extents {
            most = max(most, extent.pages.upperBound)
            reach.append(most)
        }
    }

    /// All that share the page (reflinks); none for metadata and free space.
    func owners(of page: UInt64) -> [(owner: Owner, index: Int)] {
        var (low, high) = (0, extents.count)
        while low < high {
            let middle = (low + high) / 2
            if extents[middle].pages.lowerBound <= page { low = middle + 1 } else { high = middle }
        }
        var result: [(owner: Owner, index: Int)] = []
        var at = low - 1
        while at >= 0, reach[at] > page {
            if extents[at].pages.contains(page) { result.append((owners[extents[at].owner], extents[at].owner)) }
            at -= 1
        }
        return result
    }

    var pages: PageRanges { PageRanges(extents.map(\.pages)) }
}
