import FoundationEssentials

/// What a comparison says.
extension Comparison {
    private func values(_ side: Side, _ value: (ChildProcess.Ending) -> UInt64) -> [Double] {
        pairs.map { Double(value($0[side.rawValue].ending)) }
    }

    /// Of each pair: natively, divided by what it is under the shim.
    private func ratios(_ value: (ChildProcess.Ending) -> UInt64) -> [Double] {
        zip(values(.native, value), values(.shim, value)).compactMap { $1 > 0 ? $0 / $1 : nil }
    }

    /// Whether every run printed the same and ended alike; output that was not kept is not compared.
    var isSame: Bool { outputsDiffer == 0 && statusesDiffer == 0 }

    private var outputsDiffer: Int {
        guard let first = pairs.first?.first?.output else { return 0 }
        return pairs.joined().reduce(0) { $0 + ($1.output == first ? 0 : 1) }
    }

    private var statusesDiffer: Int {
        guard let first = pairs.first?.first?.ending.status else { return 0 }
        return pairs.joined().reduce(0) { $0 + ($1.ending.status == first ? 0 : 1) }
    }

    var text: String {
        var table = Table(
            .text(""), .number("Median"), .number("Mean"), .number("+-"), .number("Min"), .number("Max"),
            .number("CPU, median"))
        for side in Side.allCases {
            let wall = values(side, \.wall)
            table.add(
                side == .native ? "native" : "shim", Self.seconds(Statistics.median(wall)),
                Self.seconds(Statistics.mean(wall)), Self.seconds(Statistics.deviation(wall)),
                Self.seconds(wall.min()), Self.seconds(wall.max()), Self.seconds(Statistics.median(values(side, \.cpu)))
            )
        }
        var lines = ["\(command)", "", table.text, ""]
        lines.append("With the shim \(Self.verdict(ratios(\.wall))); CPU time: \(Self.verdict(ratios(\.cpu))).")
        lines.append(
            "Served: \(Figures.percentText(counters.served, of: counters.total)) % of \(Figures.count(counters.total))"
                + " data calls on served mounts.")
        lines.append(sameness)
        if Side.allCases.contains(where: { Statistics.hasOutliers(values($0, \.wall)) }) {
            lines.append(
                "Warning: some runs took far longer than the others: something else keeps this machine busy. A quiet"
                    + " machine, or more --pairs, tells more.")
        }
        if (values(.native, \.wall).min() ?? 0) < 5e6 {
            lines.append("Warning: a run takes less than 5 ms, of which most is starting the program.")
        }
        return lines.joined(separator: "\n")
    }

    private var sameness: String {
        if statusesDiffer > 0 { return "EXIT STATUS DIFFERS in \(statusesDiffer) of \(pairs.count * 2) runs." }
        guard let first = pairs.first?.first?.output else { return "Output was not compared (--show-output)." }
        if outputsDiffer > 0 {
            return "OUTPUT DIFFERS in \(outputsDiffer) of \(pairs.count * 2) runs from that of the first. (Does the"
                + " program print times or random numbers, or leave something behind? --prepare, --show-output.)"
        }
        return "Output is the same in all \(pairs.count * 2) runs (\(Figures.bytes(first.bytes)))."
    }

    var markdown: String {
        func row(_ side: Side, _ name: String) -> String {
            let wall = values(side, \.wall)
            return "| \(name) | \(Self.seconds(Statistics.median(wall))) | \(Self.seconds(wall.min()))"
                + " | \(Self.seconds(wall.max())) | \(Self.seconds(Statistics.median(values(side, \.cpu)))) |"
        }
        return """
            `\(command)`

            | | median | min | max | CPU, median |
            |---|---:|---:|---:|---:|
            \(row(.native, "native"))
            \(row(.shim, "pmemshim \(Shimctl.versionNumber)"))

            With the shim \(Self.verdict(ratios(\.wall))); CPU time: \(Self.verdict(ratios(\.cpu))). \
            \(pairs.count) pairs; \(Processor.name), Linux \(Calibration.kernelRelease).
            """
    }

    /// `1.52 times as fast (1.47 to 1.56)`, or that nothing can be told.
    private static func verdict(_ ratios: [Double]) -> String {
        guard let ratio = Statistics.median(ratios), let interval = Statistics.interval(ofMedian: ratios) else {
            return "nothing can be told"
        }
        guard ratios.count > 5 else { return "\(shown(ratio)) times as fast, or not: at least six pairs tell that" }
        let bounds = "\(shown(interval.lowerBound)) to \(shown(interval.upperBound))"
        return interval.contains(1)
            ? "no difference can be told: \(shown(ratio)) (\(bounds))" : "\(shown(ratio)) times as fast (\(bounds))"
    }

    private static func shown(_ ratio: Double) -> String { Figures.fixed(ratio, decimals: 2) }

    private static func seconds(_ nanoseconds: Double?) -> String {
        guard let nanoseconds else { return "-" }
        if nanoseconds < 1e6 { return Figures.fixed(nanoseconds / 1e3, decimals: 0) + " us" }
        if nanoseconds < 1e9 { return Figures.fixed(nanoseconds / 1e6, decimals: 1) + " ms" }
        return Figures.fixed(nanoseconds / 1e9, decimals: 3) + " s"
    }
}

extension Comparison {
    struct Document: Encodable {
        struct Run: Encodable {
            let elapsedNs: UInt64
            let cpuNs: UInt64
            let exitStatus: Int32
            @Explicit var outputBytes: UInt64?
        }

        struct Ratio: Encodable {
            @Explicit var median: Double?
            @Explicit var low: Double?
            @Explicit var high: Double?

            init(_ ratios: [Double]) {
                let interval = Statistics.interval(ofMedian: ratios)
                median = Statistics.median(ratios)
                low = interval?.lowerBound
                high = interval?.upperBound
            }
        }

        let schema = "pmemshim.compare/1"
        let command: String
        let timeUnixNs: UInt64
        let kernel: String
        let processor: String
        let native: [Run]
        let shim: [Run]
        let elapsedRatio: Ratio
        let cpuRatio: Ratio
        let isOutputCompared: Bool
        let isSame: Bool
        let figures: CallFigures
    }

    var document: Document {
        func runs(_ side: Side) -> [Document.Run] {
            pairs.map { pair in
                let sample = pair[side.rawValue]
                return Document.Run(
                    elapsedNs: sample.ending.wall, cpuNs: sample.ending.cpu, exitStatus: sample.ending.exitStatus,
                    outputBytes: Explicit(wrappedValue: sample.output?.bytes))
            }
        }
        return Document(
            command: command, timeUnixNs: StatsSnapshot.now(), kernel: Calibration.kernelRelease,
            processor: Processor.name, native: runs(.native), shim: runs(.shim), elapsedRatio: .init(ratios(\.wall)),
            cpuRatio: .init(ratios(\.cpu)), isOutputCompared: pairs.first?.first?.output != nil, isSame: isSame,
            figures: CallFigures(counters))
    }
}
