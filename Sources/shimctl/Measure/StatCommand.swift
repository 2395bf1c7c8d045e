import ArgumentParser
import FoundationEssentials
import SystemPackage

/// `shimctl stat`: a program's own figures at its end, as `perf stat` has them.
struct StatCommand: ParsableCommand, ProgramStarter {
    static let configuration = CommandConfiguration(
        commandName: "stat",
        abstract: "Run a program under the shim, and say at its end what was served.",
        usage: "shimctl stat [<options>] -- <command> [<argument> ...]",
        discussion: """
            Runs the program as run does, but waits for it. The figures are those of the program and all that it \
            starts, and are kept apart from those of shimctl stats. They go to standard error, so that the program's \
            output stays its own. Times are those of all its processes that have ended, daemons included. A process \
            that becomes another user has no figures.

            What was saved is estimated where the mount is calibrated (shimctl bench).

            EXAMPLES
              shimctl stat --mount /dev/shm/data -- sqlite3 /dev/shm/data/a.db .dump
              shimctl stat -r 5 --mount . -- ./load
              shimctl stat -j -o figures.json --mount . -- ./load
              shimctl stat -I 1000 --mount /mnt/pmem -- ./server

            EXIT STATUS
              the program's own (that of the last run), 128 and the signal's number if it was killed; else as run
            """)

    @OptionGroup var options: ShimOptions

    @Option(
        name: [.customShort("r", allowingJoined: true), .customLong("repeat")], parsing: .unconditional,
        help: ArgumentHelp("Run it so often.", valueName: "n"))
    var runs = 1

    @Option(
        name: [.customShort("I", allowingJoined: true), .customLong("interval")], parsing: .unconditional,
        help: ArgumentHelp("Print what happened in every interval of so many milliseconds.", valueName: "ms"))
    var milliseconds: Double?

    @Flag(name: [.customShort("j"), .customLong("json")], help: "Write JSON (schema pmemshim.stat/1).")
    var json = false

    @Option(
        name: [.customShort("x", allowingJoined: true), .customLong("field-separator")],
        help: ArgumentHelp("Write one line per figure: value, unit, name, with this between.", valueName: "separator"))
    var separator: String?

    @Option(
        name: [.customShort("o", allowingJoined: true), .customLong("output")],
        help: ArgumentHelp("Write the figures to this file.", valueName: "file"), completion: .file())
    var output: String?

    @OptionGroup var program: ProgramArguments

    var programWordCount: Int { program.words.count }

    func validate() throws {
        guard (1...10_000).contains(runs) else { throw ValidationError("--repeat \(runs): between 1 and 10000.") }
        if let milliseconds, !(milliseconds >= 10 && milliseconds <= 86_400_000) {
            throw ValidationError("--interval \(milliseconds): between 10 and 86400000 milliseconds.")
        }
        guard !json || separator == nil else { throw ValidationError("--json goes without --field-separator.") }
        try program.words.validate(of: self)
    }

    func run() throws {
        var status: Int32 = 0
        try Complaint.reported(by: "stat") {
            let setup = try ShimSetup(options, program: program.words.program)
            setup.warnWhereNothingIsServed(by: "stat")
            let target = try output.map { try Output.file($0) } ?? .standardError
            var runs: [MeasuredRun] = []
            // Between the runs as well: what has been measured is told.
            var signals = HeldSignals()
            defer { signals.release() }
            var interruption: ExitCode?
            for _ in 0..<self.runs {
                do {
                    let found = try MeasuredRun.run(
                        last: program.words.count, setup: setup, interval: (milliseconds ?? 200) / 1_000,
                        signals: signals, sample: intervals(to: target))
                    runs.append(found)
                    if !found.ending.isSuccess || found.ending.isInterrupted { break }
                } catch let end as ExitCode where !runs.isEmpty {
                    interruption = end
                    break
                }
            }
            // What has come since the last run must not end the report. What comes now may: writing it may take long.
            while signals.arrived() != nil {}
            signals.release()
            let report = StatReport(command: program.words.text, runs: runs)
            let text =
                if json { try Output.jsonText(report.document) } else if let separator {
                    report.lines(separator: separator)
                } else { report.text }
            try Output.line(text, to: target, named: output ?? "standard error")
            status = interruption?.rawValue ?? runs.last?.ending.exitStatus ?? 0
        }
        if status != 0 { throw ExitCode(status) }
    }

    private func intervals(to target: FileDescriptor) -> (StatsSnapshot) throws -> Void {
        guard milliseconds != nil else { return { _ in } }
        var earlier = StatsSnapshot(time: StatsSnapshot.now(), processes: [], ended: [])
        return { later in
            let seconds = Double(later.time.saturatingSubtract(earlier.time)) / 1e9
            let rates = StatsRates(from: earlier, to: later, interval: seconds)
            let text = json ? try Output.jsonText(rates.document, compact: true) : rates.text(heading: true, width: 120)
            try Output.line(text, to: target, named: output ?? "standard error")
            earlier = later
        }
    }
}
