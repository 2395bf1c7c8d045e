import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl bench`: what the shim does for single calls on one's own mount and machine.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure calls on a mount, natively and under the shim, and keep what they cost for estimates.",
        discussion: """
            Makes a file in the directory, reads and overwrites it with and without the library in turns, and removes \
            it again. The table has the median of all rounds, and how many times as fast the shim is. The file is \
            mapped already: whether a program uses its files long enough for that, advise tells.

            What was measured is kept beside the figures of shimctl stats until the next boot, for the estimates of \
            stat, stats, top and advise. --quick measures only what these need, in two seconds.

            EXAMPLES
              shimctl bench /mnt/pmem
              shimctl bench --quick /dev/shm
              shimctl bench --json /srv/data:pagecache

            EXIT STATUS
              0; 1 if the directory has no room or nothing is served there; 64 for a bad option or directory; 69 if \
            libpmemshim.so is not found
            """)

    @Argument(
        help: ArgumentHelp("A directory of the mount (DIR:pagecache for a plain file system).", valueName: "dir"),
        completion: .directory)
    var directory: String

    @Flag(help: "Only calibrate: two seconds instead of half a minute.")
    var quick = false

    @Flag(help: "Write JSON (schema pmemshim.bench/1).")
    var json = false

    func run() throws {
        try Complaint.reported(by: "bench") {
            let item = try MountItem.argument(directory).validated(from: "directory")
            let library = try ShimLibrary.found()
            let place = try RuntimePlace()
            let calibrated = try Self.calibrate(item, library, in: place)
            if quick {
                return json
                    ? try Output.json(calibrated) : try Output.line(CalibrationReport(calibration: calibrated).text)
            }
            let bench = MountBench(
                item: item, library: library, rows: BenchRow.table, fileSize: 64 << 20, slice: 90_000_000, rounds: 10)
            let progress = ProgressLine("bench", total: UInt64(bench.rounds))
            let result = try bench.run { progress.show(UInt64($0)) }
            progress.end()
            let report = BenchReport(result: result, item: item)
            if json { try Output.json(report.document) } else { try Output.line(report.text) }
        }
    }

    /// More than caches hold, since what a program reads is not in them as a rule; less where there is little room.
    private static func fileSize(_ item: MountItem) -> Int {
        let free = FileSystemSpace(of: item.directory)?.free ?? 0
        return Int(min(max((free / 4) & ~0xf_ffff, 16 << 20), 128 << 20))
    }

    /// Measures what estimates need, and keeps it.
    static func calibrate(_ item: MountItem, _ library: ShimLibrary, in place: RuntimePlace) throws -> Calibration {
        let bench = MountBench(
            item: item, library: library, rows: BenchRow.calibration, fileSize: fileSize(item), slice: 12_000_000,
            rounds: 3)
        let calibration = Calibration(try bench.run(), directory: item.directory)
        calibration.keep(in: place)
        return calibration
    }
}

/// The table of `shimctl bench`.
struct BenchReport {
    let result: MountBench.Result
    let item: MountItem

    private static let barWidth = 24

    var text: String {
        var table = Table(
            .text("Call"), .number("Native ns"), .number("Shim ns"), .number("Times as fast"), .text(""))
        let ratios = BenchRow.table.map { ratio($0) ?? 0 }
        let most = max(ratios.max() ?? 1, 1)
        for (row, ratio) in zip(BenchRow.table, ratios) where ratio > 0 {
            table.add(
                row.title, Self.shown(result.median(row, .native)), Self.shown(result.median(row, .shim)),
                Figures.fixed(ratio, decimals: 2), Self.bar(ratio, of: most))
        }
        let info = FileSystemInfo(of: item.directory)
        let about = "\(item.directory.string.printable) (\(info?.type ?? "?")\(info?.isDAX == true ? ", dax" : ""))"
        var lines = ["Calls on \(about), \(Processor.name), Linux \(Calibration.kernelRelease)", "", table.text, ""]
        lines.append("| marks the same speed as natively. \(spread)")
        return lines.joined(separator: "\n")
    }

    /// How far apart the rounds were: a machine that is busy with something else tells nothing.
    private var spread: String {
        let spreads = BenchRow.table.flatMap { row in
            MountBench.Side.allCases.compactMap { side -> Double? in
                let values = result.all(row, side)
                guard let middle = Statistics.median(values), middle > 0 else { return nil }
                return Statistics.deviation(values) / middle
            }
        }
        let typical = (Statistics.median(spreads) ?? 0) * 100
        let text = "Rounds differ by \(Figures.fixed(typical, decimals: 0)) %."
        return typical > 15 ? text + " The machine is busy: measure again when it is not." : text
    }

    private func ratio(_ row: BenchRow) -> Double? {
        guard let native = result.median(row, .native), let shim = result.median(row, .shim), shim > 0 else {
            return nil
        }
        return native / shim
    }

    private static func shown(_ time: Double?) -> String {
        time.map { Figures.count(UInt64(max($0.rounded(), 0))) } ?? "-"
    }

    /// On a logarithmic scale: twice as slow is as far from the mark as twice as fast.
    private static func bar(_ ratio: Double, of most: Double) -> String {
        let scale = Double(barWidth - 4) / max(log2(most), 1)
        let length = Int((abs(log2(ratio)) * scale).rounded())
        if ratio >= 1 { return "    |" + String(repeating: "#", count: min(length, barWidth)) }
        let left = min(length, 4)
        return String(repeating: " ", count: 4 - left) + String(repeating: "#", count: left) + "|"
    }
}

extension BenchReport {
    struct Document: Encodable {
        struct Row: Encodable {
            let call: String
            let bytes: Int
            let nativeNs: [Double]
            let shimNs: [Double]
            @Explicit var timesAsFast: Double?
        }

        let schema = "pmemshim.bench/1"
        let path: String
        let timeUnixNs: UInt64
        let kernel: String
        let processor: String
        let servedCalls: UInt64
        let allCalls: UInt64
        let rows: [Row]
    }

    var document: Document {
        Document(
            path: item.directory.string, timeUnixNs: StatsSnapshot.now(), kernel: Calibration.kernelRelease,
            processor: Processor.name, servedCalls: result.served, allCalls: result.total,
            rows: BenchRow.table.map { row in
                Document.Row(
                    call: row.operation.rawValue, bytes: row.size, nativeNs: result.all(row, .native),
                    shimNs: result.all(row, .shim), timesAsFast: Explicit(wrappedValue: ratio(row)))
            })
    }
}

/// What `bench --quick` says.
struct CalibrationReport {
    let calibration: Calibration

    var text: String {
        var table = Table(.text("Call"), .number("Native ns"), .number("Shim ns"))
        func add(_ title: String, _ native: Calibration.Curve, _ served: Calibration.Curve, _ bytes: Double) {
            table.add(
                "\(title) \(Figures.bytes(bytes))", Figures.fixed(native.cost(bytes: bytes), decimals: 0),
                Figures.fixed(served.cost(bytes: bytes), decimals: 0))
        }
        for bytes in [512.0, 4_096, 65_536] { add("read", calibration.native.read, calibration.served.read, bytes) }
        for bytes in [512.0, 4_096, 65_536] {
            add("overwrite", calibration.native.write, calibration.served.write, bytes)
        }
        for bytes in [4_096.0, 65_536] { add("append", calibration.native.append, calibration.served.append, bytes) }
        table.add(
            "fdatasync", Figures.fixed(calibration.native.sync, decimals: 0),
            Figures.fixed(calibration.served.sync, decimals: 0))
        table.add("a window that comes and goes", "", Figures.fixed(calibration.window, decimals: 0))
        table.add("a page of 4 KiB in it", "", Figures.fixed(calibration.page, decimals: 0))
        return "Calibrated \(calibration.path.printable) (\(calibration.fileSystem)) for estimates.\n\n\(table.text)"
    }
}
