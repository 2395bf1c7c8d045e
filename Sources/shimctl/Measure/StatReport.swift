import FoundationEssentials
import SystemPackage

/// What `shimctl stat` says of one run or of several.
struct StatReport {
    let command: String
    let runs: [MeasuredRun]

    /// A number of every run.
    private struct Figure {
        let name: String
        let unit: String
        let values: [Double]
        let remark: String
    }

    private func figure(_ name: String, _ unit: String, remark: String = "", _ value: (MeasuredRun) -> Double) -> Figure
    {
        Figure(name: name, unit: unit, values: runs.map(value), remark: remark)
    }

    private static func counters(_ run: MeasuredRun) -> CallCounters { run.snapshot.counters }

    private var figures: [Figure] {
        let all = runs.reduce(into: CallCounters()) { $0 += Self.counters($1) }
        func percent(_ part: UInt64) -> String { "\(Figures.percentText(part, of: all.total)) %" }
        var result = [
            figure("calls", "") { Double(Self.counters($0).total) },
            figure("served", "", remark: percent(all.served)) { Double(Self.counters($0).served) },
            figure("passed-on", "", remark: percent(all.passedOn)) { Double(Self.counters($0).passedOn) },
        ]
        for (outcome, count) in all.reasons {
            result.append(
                figure("passed-on:\(outcome.name)", "", remark: "\(percent(count))  \(outcome.explanation)") { run in
                    CallFamily.allCases.reduce(0) { $0 + Double(Self.counters(run).calls($1, outcome)) }
                })
        }
        result += [
            figure("read-by-shim", "bytes") { Double(Self.counters($0).servedRead) },
            figure("read-by-kernel", "bytes") { Double(Self.counters($0).passedRead) },
            figure("written-by-shim", "bytes") { Double(Self.counters($0).servedWritten) },
            figure("written-by-kernel", "bytes") { Double(Self.counters($0).passedWritten) },
            figure("windows", "") { Double(Self.counters($0).windowsTotal) },
            figure("faults-survived", "") { Double(Self.counters($0).faults) },
            figure("elapsed", "ns") { Double($0.ending.wall) },
            figure("user", "ns") { Double($0.ending.user) },
            figure("system", "ns") { Double($0.ending.system) },
        ]
        if runs.allSatisfy({ $0.ending.peakMemory > 0 }) {
            result.append(figure("peak-memory", "bytes") { Double($0.ending.peakMemory) })
        }
        if let saved {
            result.append(Figure(name: "saved", unit: "ns", values: saved, remark: "of CPU time, estimated"))
        }
        return result
    }

    /// CPU time that the library saved in each run, ns; nothing where no mount has been calibrated.
    private var saved: [Double]? {
        let values = runs.compactMap { run in
            run.snapshot.estimate(by: Calibration.kept(for: run.snapshot.mounts, in: [try? RuntimePlace()]))?.saved
        }
        return values.count == runs.count ? values : nil
    }

    var text: String {
        var lines = ["", " Figures of '\(command)'" + (runs.count > 1 ? " (\(runs.count) runs)" : "") + ":", ""]
        for figure in figures {
            let mean = Statistics.mean(figure.values)
            var line = Self.padded(Self.shown(mean, figure.unit)) + "  " + figure.name
            if !figure.remark.isEmpty { line = Self.widened(line, to: 42) + "#  " + figure.remark }
            if figure.values.count > 1, mean != 0 {
                let spread = Statistics.deviation(figure.values) / abs(mean) * 100
                line = Self.widened(line, to: 70) + " ( +- \(Figures.fixed(spread, decimals: 2)) % )"
            }
            lines.append(line)
        }
        if runs.allSatisfy({ Self.counters($0).total == 0 }) {
            lines += [
                "", " No call was counted: no file of a served mount was used for long, or the library was not loaded",
            ]
            lines.append(" (shimctl check tells whether it can be).")
        }
        return (lines + [""]).joined(separator: "\n")
    }

    private static func shown(_ value: Double, _ unit: String) -> String {
        switch unit {
        case "ns": Figures.fixed(value / 1e9, decimals: 3) + " s"
        case "bytes": Figures.bytes(value)
        default: Figures.count(UInt64(min(max(value.rounded(), 0), 1e18)))
        }
    }

    private static func padded(_ text: String) -> String {
        String(repeating: " ", count: max(16 - text.count, 0)) + text
    }

    private static func widened(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(width - text.count, 1))
    }

    /// `value SEPARATOR unit SEPARATOR name`, a line for each figure of each run's mean, for other programs.
    func lines(separator: String) -> String {
        figures.map { figure in
            [Figures.fixed(Statistics.mean(figure.values), decimals: 0), figure.unit, figure.name]
                .joined(separator: separator)
        }.joined(separator: "\n")
    }
}

extension StatReport {
    struct Document: Encodable {
        struct Run: Encodable {
            let exitStatus: Int32
            let elapsedNs: UInt64
            let userNs: UInt64
            let systemNs: UInt64
            let peakMemoryBytes: UInt64
            let figures: CallFigures
            let mounts: [StatsReport.MountDocument]
            let processes: [StatsReport.ProcessDocument]
        }

        let schema = "pmemshim.stat/1"
        let command: String
        let runs: [Run]
        @Explicit var savedNs: [Double]?
    }

    var document: Document {
        Document(
            command: command,
            runs: runs.map { run in
                Document.Run(
                    exitStatus: run.ending.exitStatus, elapsedNs: run.ending.wall, userNs: run.ending.user,
                    systemNs: run.ending.system, peakMemoryBytes: run.ending.peakMemory,
                    figures: CallFigures(Self.counters(run)),
                    mounts: run.snapshot.mounts.map { StatsReport.MountDocument($0) },
                    processes: run.snapshot.processes.map(StatsReport.ProcessDocument.init))
            }, savedNs: Explicit(wrappedValue: saved))
    }
}
