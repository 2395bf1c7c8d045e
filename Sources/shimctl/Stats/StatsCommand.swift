import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl stats`: what the shim has done.
struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what the shim does and did: calls served and passed on, bytes, windows, faults, time saved.",
        discussion: """
            Figures are kept by user, in PMEMSHIM_RUNTIME_DIR (default /dev/shm/pmemshim-UID), by mount and by \
            process, and stay after a process has ended. A call was served, or passed on to the kernel for a reason. \
            Settings that the shim in a process could not use (a directory that does not exist, or that is not served \
            without :pagecache) are told as well, and, to root, which other users have figures.

            What was saved is CPU time, estimated from the figures and from what calls cost on the mount (shimctl \
            bench).

            EXAMPLES
              shimctl stats
              shimctl stats --by process --live --sort read --limit 5
              shimctl stats --pid 4711
              shimctl stats --json | jq '.mounts[] | {path, served: .figures.served_percent}'
              shimctl stats --watch 1 --count 10
              shimctl stats --openmetrics
              sudo shimctl stats --user postgres
              sudo shimctl stats --all-users --by user
              shimctl stats --heat /mnt/pmem/table.db

            EXIT STATUS
              0, also when there are no figures yet; 1 if the statistics file is damaged, not yours or not readable, \
            or if there are no figures of the process asked for; 64 for a bad option
            """)

    @Flag(help: "Write JSON (schema in docs/shimctl.md); with --watch one document a line.")
    var json = false

    @Flag(help: "Write the OpenMetrics text format, for Prometheus.")
    var openmetrics = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Show what happened in every interval of so many seconds.", valueName: "seconds"))
    var watch: Double?

    @Option(parsing: .unconditional, help: ArgumentHelp("Stop after so many intervals.", valueName: "n"))
    var count: Int?

    @Option(help: ArgumentHelp("One table with a row for each command, mount, process or user.", valueName: "what"))
    var by: StatsReport.Grouping?

    @Option(
        help: ArgumentHelp("By calls (the default), served, passed, read, written, saved or name.", valueName: "column")
    )
    var sort: StatsReport.Order?

    @Option(parsing: .unconditional, help: ArgumentHelp("So many rows (the default: 20).", valueName: "n"))
    var limit: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Only this process.", valueName: "pid"))
    var pid: Int32?

    @Option(help: ArgumentHelp("Only on this mount or served directory.", valueName: "dir"), completion: .directory)
    var mount: String?

    @Option(help: ArgumentHelp("Only of programs of this name.", valueName: "name"))
    var command: String?

    @Flag(help: "Only of processes that run.")
    var live = false

    @OptionGroup var users: UserOptions

    @Flag(help: "Show instead which files are hot, and which 2 MiB of them (sampled).")
    var heat = false

    @Argument(help: ArgumentHelp("With --heat: only this file.", valueName: "path"), completion: .file())
    var path: String?

    func validate() throws {
        if let watch, !(watch >= 0.05 && watch <= 86_400) {
            throw ValidationError("--watch \(watch): between 0.05 and 86400 seconds.")
        }
        if let count {
            guard watch != nil else { throw ValidationError("--count goes with --watch.") }
            guard count > 0 else { throw ValidationError("--count \(count): at least 1.") }
        }
        if let limit, !(1...100_000).contains(limit) {
            throw ValidationError("--limit \(limit): between 1 and 100000.")
        }
        if let path {
            guard !path.hasPrefix("-") else { throw ValidationError("Unknown option '\(path)'") }
            guard heat else { throw ValidationError("A path (\(path)) goes with --heat.") }
        }
        // What would be passed over in silence is refused.
        if heat { try refuse("--heat", ["--mount", "--limit", "--json"]) }
        if watch != nil { try refuse("--watch", ["--mount", "--command", "--live", "--pid", "--all-users", "--json"]) }
        if openmetrics {
            try refuse("--openmetrics", ["--mount", "--command", "--live", "--pid", "--all-users"])
        }
        if let pid, pid <= 0 { throw ValidationError("--pid \(pid): process numbers begin at 1.") }
    }

    /// - Parameter allowed: what goes with `option`, of all that say what is shown.
    private func refuse(_ option: String, _ allowed: [String]) throws {
        // Heat is kept by file, not by process; a line of an interval, or of OpenMetrics, is no row of a table.
        let given = [
            ("--watch", watch != nil), ("--openmetrics", openmetrics), ("--json", json), ("--by", by != nil),
            ("--sort", sort != nil), ("--limit", limit != nil), ("--pid", pid != nil), ("--mount", mount != nil),
            ("--command", command != nil), ("--live", live), ("--all-users", users.allUsers),
        ].filter(\.1).map(\.0)
        if let other = given.first(where: { $0 != option && !allowed.contains($0) }) {
            throw ValidationError("\(option) goes without \(other).")
        }
    }

    func run() throws {
        try Complaint.reported(by: "stats") {
            if heat { return try showHeat() }
            if let watch { try follow(every: watch) } else { try show() }
        }
    }

    private func show() throws {
        let source = try users.source()
        let snapshot = try sample(source)
        let place = source.places[0].place
        var report = StatsReport(snapshot: snapshot, place: place)
        if openmetrics { return try Output.line(report.openMetrics.text) }
        let refused = try RefusedSettings(in: place, pid: pid)
        let others = place.isDefault && pid == nil && !users.allUsers ? RuntimePlace.otherUsers : []
        let isUnknown = pid != nil && snapshot.processes.isEmpty && refused.lines.isEmpty
        if let pid, isUnknown { throw Complaint(.failure, "there are no figures of process \(pid)") }
        if json {
            try Output.json(
                StatsReport.Document(
                    snapshot, directory: place.directory.string, refused: refused, otherUsers: others,
                    saved: report.savedByMount))
        } else {
            report.grouping = by ?? (pid == nil ? nil : .process)
            report.order = sort ?? .calls
            report.limit = limit ?? 20
            report.width = Terminal.width
            if snapshot.isEmpty, isFiltered, let text = try leftOut(source) { return try Output.line(text) }
            let told = by == nil || snapshot.isEmpty
            let parts = [report.text, told ? refused.text : "", StatsAdvice.otherUsers(told ? others : [])]
            try Output.line(parts.filter { !$0.isEmpty }.joined(separator: "\n\n"))
            // Who sees that others have figures has been told enough.
            if snapshot.isEmpty, pid == nil, others.isEmpty {
                try Output.line("\n" + StatsAdvice(place).text(width: Terminal.width))
            }
        }
    }

    private var isFiltered: Bool { mount != nil || command != nil || live }

    /// What there would be without the filters; nothing where there is none.
    private func leftOut(_ source: StatsSource) throws -> String? {
        let all = try source.snapshot()
        guard !all.isEmpty else { return nil }
        let programs = Set(all.processes.map(\.command.printable)).sorted().joined(separator: ", ")
        let mounts = all.mounts.map(\.path.printable).joined(separator: ", ")
        let end = all.processes.contains(where: \.isLive) ? "run or have ended" : "all have ended"
        let lines =
            Wrapped.lines("of the programs \(programs), which \(end)", 2, Terminal.width)
            + Wrapped.lines("on \(mounts)", 2, Terminal.width)
        return (["No figures match. There are figures:"] + lines).joined(separator: "\n")
    }

    private func showHeat() throws {
        let place = try RuntimePlace(user: users.user)
        let report = try HeatReport(try HeatSnapshot.read(in: place), path: path, mount: wantedMount(), limit: limit)
        if json {
            try Output.json(report.document(directory: place.directory.string))
        } else {
            try Output.line(report.text)
        }
    }

    private func follow(every seconds: Double) throws {
        let source = try users.source()
        let clock = ContinuousClock()
        var earlier = try sample(source)
        if let pid, earlier.processes.isEmpty {
            throw Complaint(.failure, "there are no figures of process \(pid)")
        }
        var then = clock.now
        var done = 0
        while count.map({ done < $0 }) ?? true {
            // From the moment that the last sample was due: what a sample takes does not add up.
            let due = then + .seconds(seconds)
            Pause.take(seconds: max((due - clock.now) / .seconds(1), 0))
            // Opened again every time: the file may have been made, or made anew, since.
            let later = try sample(source)
            let now = clock.now
            let rates = StatsRates(from: earlier, to: later, interval: (now - then) / .seconds(1))
            if json {
                try Output.json(rates.document, compact: true)
            } else {
                try Output.line(rates.text(heading: done % 20 == 0, width: Terminal.width))
            }
            earlier = later
            then = now
            done += 1
        }
    }

    private func sample(_ source: StatsSource) throws -> StatsSnapshot {
        let snapshot = try source.snapshot()
        return try (pid.map { snapshot.filtered(pid: $0) } ?? snapshot)
            .filtered(mount: wantedMount()?.string, command: command, live: live)
    }

    private func wantedMount() throws -> FilePath? {
        try mount.map { try MountItem(directory: FilePath($0), pagecache: false).resolved().directory }
    }
}

extension StatsReport.Grouping: ExpressibleByArgument {}
extension StatsReport.Order: ExpressibleByArgument {}

extension StatsReport {
    /// CPU time that was saved on each mount that was measured, ns.
    var savedByMount: [String: Double] {
        var result: [String: Double] = [:]
        for mount in snapshot.mounts { result[mount.path] = saved(on: mount) }
        return result
    }

    func saved(on mount: StatsSnapshot.Mount) -> Double? {
        guard let calibration = calibrations[mount.path] else { return nil }
        // Of those that were folded, as many may have mapped one as there were windows.
        let folded = snapshot.ended.filter { $0.path == mount.path }
            .reduce(UInt64(0)) { $0.saturatingAdd(min($1.processes, $1.counters.windowsTotal)) }
        let processes = snapshot.processesWithWindows(on: mount.path).saturatingAdd(folded)
        return Estimate(mount.counters, processes: processes, by: calibration).saved
    }

    var openMetrics: OpenMetrics { OpenMetrics(snapshot: snapshot, saved: saved) }
}
