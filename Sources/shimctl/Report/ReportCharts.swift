/// The drawings of one recording.
struct ReportCharts {
    let recording: Recording

    private struct Interval {
        let end: Double
        let seconds: Double
        let earlier: Recording.Sample?
        let later: Recording.Sample

        func perSecond(_ value: (Recording.Sample) -> UInt64) -> Double {
            Double(value(later).saturatingSubtract(earlier.map(value) ?? 0)) / max(seconds, 1e-6)
        }
    }

    private var intervals: [Interval] {
        var result: [Interval] = []
        var earlier: Recording.Sample?
        for sample in recording.samples {
            let begin = earlier?.elapsedNs ?? 0
            // Two samples of one moment say nothing of the time between them.
            if sample.elapsedNs > begin.saturatingAdd(1_000_000) {
                result.append(
                    Interval(
                        end: Double(sample.elapsedNs) / 1e9, seconds: Double(sample.elapsedNs - begin) / 1e9,
                        earlier: earlier, later: sample))
                earlier = sample
            }
        }
        return result
    }

    var share: TimeChart {
        // Where nothing was called, no share of it was served, not a share of 0.
        let values = intervals.map { interval -> Double? in
            let total = interval.perSecond(\.total)
            return total > 0 ? interval.perSecond(\.served) / total * 100 : nil
        }
        return TimeChart(
            title: "Share of data calls that were served", moments: intervals.map(\.end),
            series: [.init(name: "served, % of the data calls of each interval", style: "served", values: values)],
            isStacked: false, most: 100, shown: { Figures.fixed($0, decimals: 0) + " %" })
    }

    var calls: TimeChart {
        func rate(_ kind: CallFamily.Kind, served: Bool) -> [Double] {
            let names = Set(CallFamily.allCases.filter { $0.kind == kind }.map(\.name))
            return intervals.map { interval in
                interval.perSecond { sample in
                    sample.sum { names.contains($0) && ($1 == CallOutcome.served.name) == served }
                }
            }
        }
        return TimeChart(
            title: "Calls a second", moments: intervals.map(\.end),
            series: [
                .init(name: "reads served", style: "served", values: rate(.read, served: true)),
                .init(name: "writes served", style: "third", values: rate(.write, served: true)),
                .init(name: "syncs served", style: "fourth", values: rate(.sync, served: true)),
                .init(name: "reads passed on", style: "passed", values: rate(.read, served: false)),
                .init(
                    name: "writes and others passed on", style: "fifth",
                    values: zip(
                        zip(rate(.write, served: false), rate(.sync, served: false)).map(+), rate(.other, served: false)
                    ).map(+)),
            ], isStacked: true, most: nil, shown: { Self.short($0) + "/s" })
    }

    var bytes: TimeChart {
        TimeChart(
            title: "Bytes a second", moments: intervals.map(\.end),
            series: [
                .init(name: "read", style: "served", values: intervals.map { $0.perSecond(\.readBytes) }),
                .init(name: "written", style: "passed", values: intervals.map { $0.perSecond(\.writtenBytes) }),
            ], isStacked: false, most: nil, areBytes: true, shown: { Figures.bytes($0) + "/s" })
    }

    /// Why calls were passed on: a bar for each reason, the most frequent first.
    var reasons: String {
        guard let last = recording.samples.last else { return "" }
        let counts = last.reasons
        guard let most = counts.first?.calls else { return "<p>Every call was served.</p>" }
        var drawing = Svg(width: 860, height: Double(counts.count) * 30 + 8)
        for (index, (outcome, count)) in counts.enumerated() {
            let y = Double(index) * 30 + 6
            drawing.label(0, y + 14, outcome.explanation)
            drawing.rectangle(380, y, max(Double(count) / Double(most) * 330, 1), 20, "passed")
            drawing.label(390 + Double(count) / Double(most) * 330, y + 14, Figures.count(count))
        }
        return drawing.text(title: "Reasons for passing calls on")
    }

    /// A row for each file, a cell for each part of it: the darker, the more often it was read or written.
    var heat: String {
        let files = (recording.end?.files ?? []).filter { !$0.groups.isEmpty }.prefix(24)
        guard !files.isEmpty else { return "<p>No file was used long enough for a sample.</p>" }
        let cells = 64
        let length = (files.flatMap(\.groups).map(\.offset).max() ?? 0).saturatingAdd(2 << 20)
        let each = max((length / UInt64(cells)).saturatingAdd(1), 2 << 20)
        var rows: [(path: String, sums: [UInt64])] = []
        for file in files {
            var sums = [UInt64](repeating: 0, count: cells)
            for group in file.groups {
                let cell = Int(min(group.offset / each, UInt64(cells - 1)))
                sums[cell] = sums[cell].saturatingAdd(group.reads).saturatingAdd(group.writes)
            }
            rows.append((file.path, sums))
        }
        let most = Double(rows.flatMap(\.sums).max() ?? 1)
        var drawing = Svg(width: 860, height: Double(rows.count) * 24 + 30)
        for (index, row) in rows.enumerated() {
            let y = Double(index) * 24 + 4
            drawing.label(0, y + 14, Self.shortened(row.path, 40))
            for (cell, sum) in row.sums.enumerated() where sum > 0 {
                let begin = Figures.bytes(Double(cell) * Double(each))
                // A cell that was used at all can be seen.
                drawing.rectangle(
                    300 + Double(cell) * 8.6, y, 8, 18, "heat", opacity: 0.15 + 0.85 * Double(sum) / most,
                    hint: "\(row.path), from \(begin): \(Figures.count(sum)) samples")
            }
        }
        let y = Double(rows.count) * 24 + 22
        drawing.label(300, y, "0")
        drawing.label(850, y, Figures.bytes(Double(each) * Double(cells)), .end)
        return drawing.text(title: "Which parts of which files were used")
    }

    static func short(_ value: Double) -> String {
        switch value {
        case 1e9...: Figures.fixed(value / 1e9, decimals: 1) + " G"
        case 1e6...: Figures.fixed(value / 1e6, decimals: 1) + " M"
        case 1e3...: Figures.fixed(value / 1e3, decimals: 0) + " k"
        default: Figures.fixed(value, decimals: 0)
        }
    }

    /// The end of a path tells more than its beginning.
    static func shortened(_ path: String, _ most: Int) -> String {
        path.count <= most ? path : "..." + path.suffix(most - 3)
    }
}
