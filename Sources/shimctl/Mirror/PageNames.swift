import PmemShim

/// What pages of the primary belong to, for people.
struct PageNames {
    private let primary: Primary

    init(_ primary: Primary) { self.primary = primary }

    /// A line for each page, in order: `page 1234 (byte 8192 of /mnt/pmem/a.db)`.
    /// - Parameter most: lines; then one that says how many more there are.
    func describe(_ pages: [UInt64], most: Int) throws -> [String] {
        guard !pages.isEmpty else { return [] }
        let places = locate(pages.prefix(most))
        var lines = pages.prefix(most).map { page in
            places[page].map { "page \(page) (byte \($0.offset) of \($0.path.printable))" }
                ?? "page \(page) (no file's: metadata, or free)"
        }
        if pages.count > most { lines.append("and so \(pages.count - most) pages more, each of which") }
        return lines
    }

    struct Place {
        let path: String
        /// Bytes from the file's start.
        let offset: UInt64
    }

    /// Which file has which of these pages; those of no file, or where that cannot be told, are left out.
    func locate(_ pages: some Collection<UInt64>) -> [UInt64: Place] {
        guard let mount = primary.mount, mount.tellsFiles else { return [:] }
        let sorted = pages.sorted()
        var result: [UInt64: Place] = [:]
        try? mount.scan.forEachFile { file in
            for (extent, offset) in FileScan.extents(of: file) ?? [] {
                let size = primary.pageSize
                var index = Self.firstIndex(of: extent.lowerBound / size, in: sorted)
                while index < sorted.count, sorted[index] * size < extent.upperBound {
                    let start = max(sorted[index] * size, extent.lowerBound)
                    result[sorted[index]] = Place(
                        path: mount.point + file.path, offset: offset + start - extent.lowerBound)
                    index += 1
                }
            }
        }
        return result
    }

    /// Of the first that is not lower.
    private static func firstIndex(of page: UInt64, in sorted: [UInt64]) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < page { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
