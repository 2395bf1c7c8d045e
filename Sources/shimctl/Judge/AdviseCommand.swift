import ArgumentParser
import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl advise`: is it worth it, and what stands in the way.
struct AdviseCommand: ParsableCommand, ProgramStarter {
    static let configuration = CommandConfiguration(
        commandName: "advise",
        abstract:
            "Say whether the shim is worth it: for a directory, a running process, or a program that is run once.",
        usage: """
            shimctl advise [--json] <dir> ...
            shimctl advise [--json] --pid <pid>
            shimctl advise [<options>] -- <command> [<argument> ...]
            """,
        discussion: """
            For a directory: the machine, the file system and its options, and what calls cost there natively and \
            with the shim. For a process: what doctor says of it, and what its figures are worth.

            For a program: it is run once under the shim, and does its work as always. What its calls took, and would \
            have taken without the library, is reckoned from its figures and from what calls cost on the mount, which \
            is measured first (two seconds, kept as by shimctl bench). --verify runs it natively as well, before, and \
            says how good the estimate is; a program that leaves something behind needs --prepare.

            EXAMPLES
              shimctl advise /mnt/pmem
              shimctl advise --mount /dev/shm/d -- sqlite3 /dev/shm/d/a.db ".read load.sql"
              shimctl advise --verify --prepare "rm -f /dev/shm/d/a.db" --mount /dev/shm/d -- ./load
              sudo shimctl advise --pid 4711

            EXIT STATUS
              of a directory or process as doctor; of a program its own (128 and the signal's number if it was \
            killed); 64 for a bad option, directory or PMEMSHIM_* value, 69 if libpmemshim.so is not found
            """)

    @OptionGroup var options: ShimOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("A running process.", valueName: "pid"))
    var pid: Int32?

    @Flag(help: "Run the program natively as well, and compare the estimate with the truth.")
    var verify = false

    @Option(help: ArgumentHelp("A command for sh before each run.", valueName: "command"))
    var prepare: String?

    @Flag(help: "Write JSON (schemas pmemshim.findings/1, pmemshim.advice/1), of a program to standard error.")
    var json = false

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("A directory; or, behind --, a program and its arguments.", valueName: "dir"),
        completion: .directory)
    var words: [String] = []

    private var isProgram: Bool { words.first == "--" }
    private var program: ProgramWords { ProgramWords(captured: words) }

    var programWordCount: Int { isProgram ? program.count : 0 }

    func validate() throws {
        if let first = words.first, first == "-h" || first == "--help" { throw CleanExit.helpRequest(self) }
        if let pid {
            guard words.isEmpty else { throw ValidationError("--pid goes without a directory or program.") }
            guard pid > 0 else { throw ValidationError("--pid \(pid): process numbers begin at 1.") }
            return
        }
        guard !words.isEmpty else { throw ValidationError("Missing a directory, --pid, or -- and a command.") }
        if isProgram { return try program.validate(of: self) }
        if let option = words.first(where: { $0.hasPrefix("-") }) {
            throw ValidationError("Unknown option '\(option)'.")
        }
    }

    func run() throws {
        var status: Int32 = 0
        try Complaint.reported(by: "advise") { status = try advise() }
        if status != 0 { throw ExitCode(status) }
    }

    private func advise() throws -> Int32 {
        if isProgram { return try adviseProgram() }
        var report = FindingReport()
        report.add("This machine", MachineFindings.all)
        if let pid {
            let process = ProcessFindings(pid: pid)
            report.add("Process \(pid)", process.all)
            report.add("What its figures are worth", process.worth)
        }
        for word in words {
            let item = try MountItem.argument(word).resolved()
            report.add("Directory \(item.description)", MountFindings(item: item).all)
            report.add("What calls cost there", try Self.costs(of: item))
        }
        if json { try Output.json(report.document) } else { try Output.line(report.text(width: Terminal.width)) }
        return report.count(.error) > 0 ? 1 : 0
    }

    /// Measured now, for what is to be judged is now.
    private static func costs(of item: MountItem) throws -> [Finding] {
        let path = item.directory.string
        guard let item = try? item.validated(from: "directory") else { return [] }
        do {
            let found = try BenchCommand.calibrate(item, try ShimLibrary.found(), in: try RuntimePlace())
            func ratio(_ title: String, _ native: Double, _ served: Double) -> Finding {
                let times = served > 0 ? native / served : 1
                let text =
                    "\(Figures.fixed(native, decimals: 0)) ns natively, \(Figures.fixed(served, decimals: 0)) ns served"
                return times > 1.05
                    ? Finding(.ok, title, "\(text): \(Figures.fixed(times, decimals: 1)) times as fast")
                    : Finding(.note, title, "\(text): nothing to gain")
            }
            let page = 4_096.0
            let saved = max(found.native.read.cost(bytes: page) - found.served.read.cost(bytes: page), 1)
            let price = found.window + found.page * 512
            let least = Figures.count(UInt64(min(max(price / saved, 1), 1e9)))
            return [
                ratio("read 4 KiB", found.native.read.cost(bytes: page), found.served.read.cost(bytes: page)),
                ratio("overwrite 4 KiB", found.native.write.cost(bytes: page), found.served.write.cost(bytes: page)),
                Finding(
                    .note, "worth it",
                    "for programs that read the same files again and again: to map 2 MiB of one whole costs"
                        + " \(Figures.duration(price)), and pays after \(least) reads of 4 KiB there",
                    cure: "shimctl advise --mount \(path) -- COMMAND tells of a program"),
            ]
        } catch {
            return [Finding(.warning, "calls", "\(error)")]
        }
    }

    private func adviseProgram() throws -> Int32 {
        let setup = try ShimSetup(options, program: program.program)
        setup.warnWhereNothingIsServed(by: "advise")
        let place = try RuntimePlace()
        // Before the program, so that nothing of it is measured.
        for item in setup.environment.mounts where Calibration.kept(for: item.directory, in: place) == nil {
            _ = try BenchCommand.calibrate(item, setup.library, in: place)
        }
        var native: ChildProcess.Ending?
        if verify {
            try Subprocess.prepare(prepare)
            native = try ChildProcess.run(last: program.count, changes: setup.nativeChanges)
        }
        try Subprocess.prepare(prepare)
        let run = try MeasuredRun.run(last: program.count, setup: setup)
        let estimate = run.snapshot.estimate(by: Calibration.kept(for: run.snapshot.mounts, in: [place]))
        let advice = Advice(command: program.text, run: run, estimate: estimate, native: native)
        // The program's output is its own.
        Output.warn(json ? try Output.jsonText(advice.document) : advice.text(width: Terminal.width))
        return run.ending.exitStatus
    }
}
