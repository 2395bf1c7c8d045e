/// A set of pages, as ranges of their numbers: in order, and none touches the next.
struct PageRanges: Equatable {
    private(set) var ranges: [Range<UInt64>] = []

    init() {}

    /// - Parameter unordered: may overlap; empty ones are left out.
    init(_ unordered: [Range<UInt64>]) {
        for range in unordered.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let last = ranges.last, range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
    }

    /// - Parameter pages: their numbers, each larger than the one before it.
    init(ascending pages: some Sequence<UInt64>) {
        var run: Range<UInt64>?
        for page in pages {
            if let open = run, open.upperBound == page {
                run = open.lowerBound..<page + 1
            } else {
                if let run { ranges.append(run) }
                run = page..<page + 1
            }
        }
        if let run { ranges.append(run) }
    }

    /// All pages that bytes `start`..<`start + length` touch, of those below `end`.
    static func touched(by start: UInt64, _ length: UInt64, pageSize: UInt64, end: UInt64) -> Range<UInt64> {
        let first = min(start / pageSize, end)
        let (stop, overflows) = start.addingReportingOverflow(length)
        let last = overflows ? end : min((stop + pageSize - 1) / pageSize, end)
        return first..<max(first, last)
    }

    /// Only whole pages within these bytes.
    static func within(_ start: UInt64, _ length: UInt64, pageSize: UInt64, end: UInt64) -> Range<UInt64> {
        let (stop, overflows) = start.addingReportingOverflow(length)
        guard !overflows else { return 0..<0 }
        let first = min((start + pageSize - 1) / pageSize, end)
        return first..<max(first, min(stop / pageSize, end))
    }

    var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }
    var isEmpty: Bool { ranges.isEmpty }

    func union(_ other: PageRanges) -> PageRanges { PageRanges(ranges + other.ranges) }

    func subtracting(_ other: PageRanges) -> PageRanges {
        var result: [Range<UInt64>] = []
        var index = 0
        for range in ranges {
            var start = range.lowerBound
            while index < other.ranges.count, other.ranges[index].upperBound <= start { index += 1 }
            var at = index
            while at < other.ranges.count, other.ranges[at].lowerBound < range.upperBound {
                let gone = other.ranges[at]
                if gone.lowerBound > start { result.append(start..<gone.lowerBound) }
                start = max(start, gone.upperBound)
                at += 1
            }
            if start < range.upperBound { result.append(start..<range.upperBound) }
        }
        return PageRanges(result)
    }

    func contains(_ page: UInt64) -> Bool {
        let index = firstIndex(after: page)
        return index < ranges.count && ranges[index].contains(page)
    }

    /// How many pages of `range` there are.
    func count(in range: Range<UInt64>) -> Int {
        var index = firstIndex(after: range.lowerBound)
        var count = 0
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            count += ranges[index].clamped(to: range).count
            index += 1
        }
        return count
    }

    /// Of the first range that ends behind `page`.
    private func firstIndex(after page: UInt64) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= page { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Calls `body` with each part that lies in one chunk of `chunk` pages, in order.
    func forEachChunk(of chunk: UInt64, _ body: (Range<UInt64>) throws -> Void) rethrows {
        for range in ranges {
            var start = range.lowerBound
            while start < range.upperBound {
                let end = min(range.upperBound, (start / chunk + 1) * chunk)
                try body(start..<end)
                start = end
            }
        }
    }
}
