import FoundationEssentials
import Glibc

/// What happened between two samples, by mount.
struct StatsRates {
    /// Seconds between the samples; above zero.
    let interval: Double
    /// As at the second sample, but counters hold only what was counted since the first.
    let mounts: [StatsSnapshot.Mount]
    let time: UInt64

    /// - Parameter interval: seconds between the samples by a clock that nobody sets.
    init(from earlier: StatsSnapshot, to later: StatsSnapshot, interval: Double) {
        self.interval = max(interval, 1e-6)
        time = later.time
        let before = earlier.mounts
        mounts = later.mounts.map { mount in
            let known = before.first { $0.path == mount.path && $0.backing == mount.backing }
            var change = mount
            change.counters = mount.counters.since(known?.counters ?? CallCounters())
            return change
        }
    }

    /// A line for each mount, as vmstat(8) has them; with titles above where they are wanted.
    func text(heading: Bool, width: Int) -> String {
        let clock = Date(timeIntervalSince1970: Double(time) / 1e9).formatted(.iso8601).dropFirst(11).prefix(8)
        guard !mounts.isEmpty else { return "\(clock)  no figures yet" }
        var table = Table(
            .text("Time"), .number("   Calls/s"), .number("Served %"), .number("    Read/s"), .number(" Written/s"),
            .number("Windows", spare: 2), .number("    Mapped", spare: 3), .number("Faults", spare: 4),
            .text("Mount", shrinks: true))
        for mount in mounts {
            let counters = mount.counters
            let read = counters.servedRead.saturatingAdd(counters.passedRead)
            let written = counters.servedWritten.saturatingAdd(counters.passedWritten)
            table.add(
                String(clock), Figures.count(UInt64(min(perSecond(counters.total), 1e18))),
                Figures.percentText(counters.served, of: counters.total), Figures.bytes(perSecond(read)),
                Figures.bytes(perSecond(written)), Figures.count(mount.windows), Figures.bytes(mount.mappedBytes),
                Figures.count(counters.faults), mount.path)
        }
        return table.lines(width: width).dropFirst(heading ? 0 : 2).joined(separator: "\n")
    }

    private func perSecond(_ count: UInt64) -> Double { Double(count) / interval }
}

extension StatsRates {
    /// One line of `stats --watch --json`: counts within the interval, not yet divided by it.
    struct Document: Encodable {
        struct Mount: Encodable {
            let path: String
            let backing: String
            let windows: UInt64
            let mappedBytes: UInt64
            let figures: CallFigures
        }

        let schema = "pmemshim.stats-interval/1"
        let timeUnixNs: UInt64
        let intervalSeconds: Double
        let mounts: [Mount]
    }

    var document: Document {
        Document(
            timeUnixNs: time, intervalSeconds: interval,
            mounts: mounts.map {
                Document.Mount(
                    path: $0.path, backing: $0.backing.rawValue, windows: $0.windows, mappedBytes: $0.mappedBytes,
                    figures: CallFigures($0.counters))
            })
    }
}
