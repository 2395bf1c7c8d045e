import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl record`: figures over time, into a file for `shimctl report`.
struct RecordCommand: ParsableCommand, ProgramStarter {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Run a program under the shim and record its figures over time, for shimctl report.",
        usage: """
            shimctl record [<options>] -- <command> [<argument> ...]
            shimctl record [<options>] --seconds <seconds>
            """,
        discussion: """
            The recording has the figures of each interval, those of each process, and at the end which parts of which \
            files were hot. With --seconds and without a program all that a user's programs do meanwhile is recorded.

            EXAMPLES
              shimctl record --mount /dev/shm/data -- ./load
              shimctl record -o pg.record --seconds 60 --user postgres
              shimctl report pg.record --html pg.html

            EXIT STATUS
              the program's own (128 and the signal's number if it was killed); 0 without one; 1 if the file cannot \
            be written; else as run
            """)

    @OptionGroup var options: ShimOptions

    @Option(
        name: [.customShort("o", allowingJoined: true), .customLong("output")],
        help: ArgumentHelp("The file to write.", valueName: "file"), completion: .file())
    var output = "pmemshim.record"

    @Option(parsing: .unconditional, help: ArgumentHelp("Seconds between samples.", valueName: "seconds"))
    var interval = 0.25

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Record what runs already, for so many seconds.", valueName: "seconds"))
    var seconds: Double?

    @OptionGroup var users: UserOptions

    @OptionGroup var program: ProgramArguments

    var programWordCount: Int { program.words.count }

    func validate() throws {
        guard interval >= 0.02, interval <= 3_600 else {
            throw ValidationError("--interval \(interval): between 0.02 and 3600 seconds.")
        }
        guard let seconds else {
            guard users.isOwn else { throw ValidationError("--user and --all-users go with --seconds.") }
            return try program.words.validate(of: self)
        }
        guard program.command.isEmpty else { throw ValidationError("--seconds goes without a program.") }
        guard seconds > 0, seconds <= 604_800 else {
            throw ValidationError("--seconds \(seconds): above 0, at most 604800.")
        }
    }

    func run() throws {
        var status: Int32 = 0
        try Complaint.reported(by: "record") {
            // All that can be wrong is found before an old recording gives way.
            let setup = seconds == nil ? try ShimSetup(options, program: program.words.program) : nil
            if setup != nil, ProgramSearch.path(of: program.words.program) == nil {
                throw Complaint(.notFound, "\(program.words.program.string.printable): command not found")
            }
            let source = seconds == nil ? nil : try users.source()
            let recorder = try Recorder(
                path: output, command: program.words.text)
            if let seconds, let source {
                try recordWhatRuns(recorder, seconds, source)
            } else if let setup {
                status = try recordProgram(recorder, setup)
            }
            Output.warn("shimctl record: \(output.printable): shimctl report \(output.printable) --html OUT shows it")
        }
        if status != 0 { throw ExitCode(status) }
    }

    private func recordProgram(_ recorder: Recorder, _ setup: ShimSetup) throws -> Int32 {
        setup.warnWhereNothingIsServed(by: "record")
        try recorder.add(StatsSnapshot(time: StatsSnapshot.now(), processes: [], ended: []))
        var heat: [HeatSnapshot.File] = []
        let run = try MeasuredRun.run(
            last: program.words.count, setup: setup, interval: interval, sample: { try recorder.add($0) },
            end: { heat = (try? HeatSnapshot.read(in: $0))?.files ?? [] })
        let ending = run.ending
        try recorder.end(run.snapshot, heat, exitStatus: ending.exitStatus, elapsed: ending.wall, cpu: ending.cpu)
        return ending.exitStatus
    }

    private func recordWhatRuns(_ recorder: Recorder, _ seconds: Double, _ source: StatsSource) throws {
        let begin = ContinuousClock.now
        let first = try source.snapshot()
        var last = first
        while ContinuousClock.now - begin < .seconds(seconds) {
            let left = seconds - (ContinuousClock.now - begin) / .seconds(1)
            Pause.take(seconds: min(interval, max(left, 0)))
            last = try source.snapshot()
            try recorder.add(last, since: first)
        }
        let elapsed = UInt64(max((.now - begin) / .nanoseconds(1), 0))
        // Heat has been gathered for longer than this: it is left out.
        try recorder.end(last.since(first), [], exitStatus: nil, elapsed: elapsed, cpu: nil)
    }
}

/// Writes a recording.
struct Recorder {
    private let file: FileDescriptor
    private let begin = ContinuousClock.now

    private let path: String

    /// - Throws: a `Complaint` where the file cannot be written.
    init(path: String, command: String) throws {
        self.path = path
        file = try Output.file(path)
        let head = Recording.Head(
            version: Shimctl.versionNumber, command: command, kernel: Calibration.kernelRelease,
            processor: Processor.name, timeUnixNs: StatsSnapshot.now())
        try write(Recording.Line(head: head))
    }

    /// - Parameter first: what had been counted before the recording began, which is left out.
    func add(_ snapshot: StatsSnapshot, since first: StatsSnapshot? = nil) throws {
        var mounts = snapshot.mounts
        if let first {
            let before = first.mounts
            for index in mounts.indices {
                let known = before.first { $0.path == mounts[index].path && $0.backing == mounts[index].backing }
                if let known { mounts[index].counters = mounts[index].counters.since(known.counters) }
            }
        }
        let elapsed = UInt64(max((.now - begin) / .nanoseconds(1), 0))
        try write(Recording.Line(sample: .init(elapsedNs: elapsed, mounts: mounts.map(Recording.Mount.init))))
    }

    func end(
        _ snapshot: StatsSnapshot, _ files: [HeatSnapshot.File], exitStatus: Int32?, elapsed: UInt64, cpu: UInt64?
    ) throws {
        let estimate = snapshot.estimate(by: Calibration.kept(for: snapshot.mounts, in: [try? RuntimePlace()]))
        let processes = snapshot.processes.prefix(200).map {
            Recording.Process(
                pid: $0.pid, command: $0.command, served: $0.counters.served, passedOn: $0.counters.passedOn)
        }
        let heat = files.prefix(100).map { file in
            Recording.File(
                path: file.path.isEmpty ? "inode \(file.inode)" : file.path,
                groups: file.groups.sorted { $0.key < $1.key }.prefix(4_096).map {
                    Recording.Group(offset: $0.key << 21, reads: $0.value.reads, writes: $0.value.writes)
                })
        }
        try write(
            Recording.Line(
                end: .init(
                    exitStatus: exitStatus, elapsedNs: elapsed, cpuNs: cpu, savedNs: estimate?.saved,
                    processes: processes, files: Array(heat))))
    }

    private func write(_ line: Recording.Line) throws {
        try Output.line(try Output.jsonText(line, compact: true), to: file, named: path)
    }
}
