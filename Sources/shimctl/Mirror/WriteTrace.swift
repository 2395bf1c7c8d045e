/// Tells which parts of a block device have been written to: by every write that reaches it from a file system or a
/// program, and by none of the stores into directly mapped pages. Whatever might have been lost is told, never passed
/// over.
protocol WriteTrace: AnyObject {
    /// What has been written to since the last call. An earlier one may have been under way still when that was asked.
    /// - Returns: nothing where something may have been lost: all may have been written to.
    func take() -> PageRanges?

    /// Of what was taken, the part that may be on its way to the device still: a read may overtake it. What is written
    /// back from the page cache is waited for by syncfs; direct writes are not.
    var recent: PageRanges { get }

    /// Reads what the kernel has collected, so that its room is enough. To be called now and then.
    func drain()
}

/// What was taken of a trace not long ago.
struct RecentWrites {
    private var history: [(time: ContinuousClock.Instant, ranges: PageRanges)] = []

    mutating func add(_ taken: PageRanges) {
        history = history.filter { .now - $0.time < Self.longestFlight } + [(.now, taken)]
    }

    var pages: PageRanges {
        PageRanges(history.filter { .now - $0.time < Self.longestFlight }.flatMap(\.ranges.ranges))
    }

    /// ns.
    static let longestFlightNs: Int64 = 1_000_000_000
    private static let longestFlight = Duration.nanoseconds(longestFlightNs)
}
