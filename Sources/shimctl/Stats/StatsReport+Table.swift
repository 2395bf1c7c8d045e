import FoundationEssentials
import Glibc

/// The figures as tables.
struct StatsReport {
    let snapshot: StatsSnapshot
    /// Rows of the table of processes that are shown for processes that have ended.
    static let endedRows = 20

    var text: String {
        guard !snapshot.isEmpty else { return Self.nothingYet }
        var parts = [mountTable]
        for mount in snapshot.mounts where mount.counters.total > 0 {
            parts.append("Calls on \(mount.path) (\(mount.backing.rawValue))\n\(Self.callTable(mount.counters))")
        }
        if !snapshot.processes.isEmpty { parts.append(processTable) }
        let notes = snapshot.processes.filter { !$0.note.isEmpty }
        if !notes.isEmpty {
            parts.append(
                "Notes\n" + notes.map { "  \($0.command) (\($0.pid)): \($0.note)" }.joined(separator: "\n"))
        }
        return parts.joined(separator: "\n\n")
    }

    static let nothingYet =
        "No figures yet: no program of yours has used a served file. Start one with shimctl run --mount DIR -- COMMAND."

    private var mountTable: String {
        var table = Table(
            .text("Mount"), .text("Backing"), .number("Live"), .number("Ended"), .number("Calls"), .number("Served %"),
            .number("Read by shim"), .number("by kernel"), .number("Written by shim"), .number("by kernel"),
            .number("Windows"), .number("Mapped"), .number("Faults"))
        for mount in snapshot.mounts {
            let counters = mount.counters
            table.add(
                mount.path, mount.backing.rawValue,
                Figures.count(mount.liveProcesses), Figures.count(mount.endedProcesses),
                Figures.count(counters.total), Figures.percentText(counters.served, of: counters.total),
                Figures.bytes(counters.servedRead), Figures.bytes(counters.passedRead),
                Figures.bytes(counters.servedWritten), Figures.bytes(counters.passedWritten),
                Figures.count(mount.windows), Figures.bytes(mount.mappedBytes), Figures.count(counters.faults))
        }
        return table.text
    }

    private static func callTable(_ counters: CallCounters) -> String {
        var table = Table(
            .text("Call"), .number("Calls"), .number("Served"), .number("Served %"), .number("Passed on"),
            .text("Why passed on"))
        for family in CallFamily.allCases where counters.total(family) > 0 {
            let reasons = CallOutcome.allCases.dropFirst()
                .map { (outcome: $0, count: counters.calls(family, $0)) }
                .filter { $0.count > 0 }
                .sorted { $0.count > $1.count }
            table.add(
                family.name, Figures.count(counters.total(family)), Figures.count(counters.served(family)),
                Figures.percentText(counters.served(family), of: counters.total(family)),
                Figures.count(counters.passedOn(family)),
                reasons.map { "\($0.outcome.name) \(Figures.count($0.count))" }.joined(separator: ", "))
        }
        let seen = CallOutcome.allCases.dropFirst().filter { outcome in
            CallFamily.allCases.contains { counters.calls($0, outcome) > 0 }
        }
        return ([table.text] + seen.map { "  \($0.name): \($0.explanation)" }).joined(separator: "\n")
    }

    private var processTable: String {
        var table = Table(
            .number("PID"), .text("Command"), .text("State"), .text("Mount"), .number("Calls"), .number("Served %"),
            .number("Read"), .number("Written"), .number("Windows"), .number("Mapped"), .number("Faults"))
        let live = snapshot.processes.filter(\.isLive)
        let ended = snapshot.processes.filter { !$0.isLive }
        for process in live + ended.prefix(Self.endedRows) {
            for mount in process.mounts {
                let counters = mount.counters
                table.add(
                    String(process.pid), process.command, process.isLive ? "live" : "ended", mount.path,
                    Figures.count(counters.total), Figures.percentText(counters.served, of: counters.total),
                    Figures.bytes(counters.servedRead.saturatingAdd(counters.passedRead)),
                    Figures.bytes(counters.servedWritten.saturatingAdd(counters.passedWritten)),
                    Figures.count(mount.windows), Figures.bytes(mount.mappedBytes), Figures.count(counters.faults))
            }
        }
        let hidden = ended.count - min(ended.count, Self.endedRows)
        return table.text + (hidden > 0 ? "\n... and \(hidden) more that have ended (--json lists all)" : "")
    }
}
