import FoundationEssentials
import Glibc
import SystemPackage

/// The figures as tables.
struct StatsReport {
    /// What has a row of its own.
    enum Grouping: String, CaseIterable { case command, mount, process, user }
    /// What the first row has the most of.
    enum Order: String, CaseIterable { case calls, served, passed, read, written, saved, name }

    let snapshot: StatsSnapshot
    /// Prices of the mounts that were measured.
    let calibrations: [String: Calibration]
    var grouping: Grouping?
    var order = Order.calls
    var limit = 20
    var width = 80

    /// - Parameter place: where calibrations are kept.
    init(snapshot: StatsSnapshot, place: RuntimePlace?) {
        self.snapshot = snapshot
        // The caller's own measurement comes before that of whom the figures belong to.
        calibrations = Calibration.kept(for: snapshot.mounts, in: [try? RuntimePlace(), place])
    }

    static let nothingYet =
        "No figures yet: no program of yours has used a served file. Start one with shimctl run --mount DIR -- COMMAND."

    var text: String {
        guard !snapshot.isEmpty else { return Wrapped.lines(Self.nothingYet, 0, width).joined(separator: "\n") }
        if let grouping { return table(of: grouping) }
        var parts = [table(of: .command), mountTable]
        let reasons = reasonText
        if !reasons.isEmpty { parts.append(reasons) }
        for mount in snapshot.mounts where mount.counters.total > 0 {
            parts.append("Calls on \(mount.path.printable) (\(mount.backing.rawValue))\n\(callTable(mount.counters))")
        }
        let notes = snapshot.processes.filter { !$0.note.isEmpty }
        if !notes.isEmpty {
            let lines = notes.prefix(limit).map { "  \($0.command) (\($0.pid)): \($0.note)".printable }
            let rest = notes.count - lines.count
            parts.append((["Notes"] + lines + (rest > 0 ? ["  ... and \(rest) more"] : [])).joined(separator: "\n"))
        }
        if calibrations.isEmpty {
            let hint = "What was saved is told once a mount is measured: shimctl bench --quick DIR"
            parts.append(Wrapped.lines(hint, 0, width).joined(separator: "\n"))
        }
        return parts.joined(separator: "\n\n")
    }

    private var mountTable: String {
        var table = Table(
            .text("Mount", shrinks: true), .text("Backing"), .number("Calls"), .number("Served %"),
            .number("Windows", spare: 3), .number("Mapped", spare: 2), .number("Faults", spare: 4))
        for mount in snapshot.mounts {
            let counters = mount.counters
            table.add(
                mount.path, mount.backing.rawValue, Figures.count(counters.total),
                Figures.percentText(counters.served, of: counters.total), Figures.count(mount.windows),
                Figures.bytes(mount.mappedBytes), Figures.count(counters.faults))
        }
        return table.text(width: width)
    }

    private func callTable(_ counters: CallCounters) -> String {
        var table = Table(
            .text("Call"), .number("Calls"), .number("Served"), .number("Served %"),
            .number("Passed on", spare: 1),
            .text("Why passed on", shrinks: true))
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
        return table.text(width: width)
    }

    /// Why calls were passed on, as sentences: the most frequent reason first.
    private var reasonText: String {
        let all = snapshot.counters
        let reasons = all.reasons
        guard !reasons.isEmpty else { return "" }
        var lines = ["Why calls were passed on to the kernel"]
        for (outcome, count) in reasons {
            let share = Figures.percentText(count, of: all.total)
            lines += Wrapped.lines(
                "\(Figures.count(count)) (\(share) %) \(outcome.name): \(outcome.explanation)", 2, width)
            // What is not much is not worth a change.
            if let cure = outcome.cure, count > all.total / 50 { lines += Wrapped.lines("-> \(cure)", 6, width) }
        }
        return lines.joined(separator: "\n")
    }
}
