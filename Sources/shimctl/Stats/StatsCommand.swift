import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl stats`: what the shim has done.
struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what the shim does and did: calls served and passed on, bytes, windows, faults.",
        discussion: """
            Figures are kept by user, in PMEMSHIM_RUNTIME_DIR (default /dev/shm/pmemshim-UID), by mount and by \
            process, and stay after a process has ended. A call was served, or passed on to the kernel for the reason \
            shown. Settings that the shim in a process could not use (a directory that does not exist, or that is not \
            served without :pagecache) are told as well, and, to root, which other users have figures.

            EXAMPLES
              shimctl stats
              shimctl stats --pid 4711
              shimctl stats --json | jq '.mounts[] | {path, served: .figures.served_percent}'
              shimctl stats --watch 1 --count 10
              sudo shimctl stats --user postgres
              shimctl stats --heat
              shimctl stats --heat /mnt/pmem/table.db

            EXIT STATUS
              0, also when there are no figures yet; 1 if the statistics file is damaged, not yours or not readable, \
            or if there is no process of the number asked for; 64 for a bad option
            """)

    @Flag(help: "Write JSON (schema in docs/shimctl.md); with --watch one document a line.")
    var json = false

    @Option(help: ArgumentHelp("Show what happened in every interval of so many seconds.", valueName: "seconds"))
    var watch: Double?

    @Option(help: ArgumentHelp("Stop after so many intervals.", valueName: "n"))
    var count: Int?

    @Option(help: ArgumentHelp("Only this process.", valueName: "pid"))
    var pid: Int32?

    @Option(help: ArgumentHelp("Figures of this user: a name or number (for root).", valueName: "name"))
    var user: String?

    @Flag(help: "Show instead which files are hot, and which 2 MiB of them (sampled).")
    var heat = false

    @Argument(help: ArgumentHelp("With --heat: only this file.", valueName: "path"))
    var path: String?

    func validate() throws {
        if let watch, !(watch >= 0.05 && watch <= 86_400) {
            throw ValidationError("--watch \(watch): between 0.05 and 86400 seconds.")
        }
        if let count {
            guard watch != nil else { throw ValidationError("--count goes with --watch.") }
            guard count > 0 else { throw ValidationError("--count \(count): at least 1.") }
        }
        if path != nil, !heat { throw ValidationError("A path goes with --heat.") }
        if heat, watch != nil || pid != nil { throw ValidationError("--heat goes with neither --watch nor --pid.") }
        if let pid, pid <= 0 { throw ValidationError("--pid \(pid): process numbers begin at 1.") }
    }

    func run() throws {
        try Complaint.reported(by: "stats") {
            if heat { return try showHeat() }
            if let watch { try follow(every: watch) } else { try show() }
        }
    }

    private func show() throws {
        let place = try RuntimePlace(user: user)
        let snapshot = try sample(in: place)
        let refused = try RefusedSettings(in: place, pid: pid)
        let others = place.isDefault && pid == nil ? RuntimePlace.otherUsers : []
        let isUnknown = pid != nil && snapshot.processes.isEmpty && refused.lines.isEmpty
        if json {
            try Output.json(
                StatsReport.Document(
                    snapshot, directory: place.directory.string.printable, refused: refused, otherUsers: others))
        } else if !isUnknown {
            let parts = [StatsReport(snapshot: snapshot).text, refused.text, StatsAdvice.otherUsers(others)]
            try Output.line(parts.filter { !$0.isEmpty }.joined(separator: "\n\n"))
            if snapshot.isEmpty, pid == nil { try Output.line("\n" + StatsAdvice(place).text) }
        }
        if let pid, isUnknown { throw Complaint(.failure, "there are no figures of process \(pid)") }
    }

    private func showHeat() throws {
        let place = try RuntimePlace(user: user)
        let report = try HeatReport(try HeatSnapshot.read(in: place), path: path)
        if json {
            try Output.json(report.document(directory: place.directory.string.printable))
        } else {
            try Output.line(report.text)
        }
    }

    private func follow(every seconds: Double) throws {
        let place = try RuntimePlace(user: user)
        let clock = ContinuousClock()
        var earlier = try sample(in: place)
        var then = clock.now
        var done = 0
        while count.map({ done < $0 }) ?? true {
            Pause.take(seconds: seconds)
            // Opened again every time: the file may have been made, or made anew, since.
            let later = try sample(in: place)
            let now = clock.now
            let rates = StatsRates(from: earlier, to: later, interval: (now - then) / .seconds(1))
            if json {
                try Output.json(rates.document, compact: true)
            } else {
                try Output.line((done > 0 ? "\n" : "") + rates.text)
            }
            earlier = later
            then = now
            done += 1
        }
    }

    private func sample(in place: RuntimePlace) throws -> StatsSnapshot {
        guard let file = try StatsFile.open(in: place) else {
            return StatsSnapshot(time: StatsSnapshot.now(), processes: [], ended: [])
        }
        defer { file.close() }
        let snapshot = try file.snapshot()
        return pid.map { snapshot.filtered(pid: $0) } ?? snapshot
    }
}
