import FoundationEssentials
import Glibc

/// One table, a row for each program, mount, process or user.
extension StatsReport {
    private struct Row {
        let name: String
        var pid = ""
        var state = ""
        var mount = ""
        var live: UInt64 = 0
        var ended: UInt64 = 0
        var windows: UInt64 = 0
        var counters = CallCounters()
        /// ns; nothing where no mount of it was measured.
        var saved: Double?
    }

    func table(of grouping: Grouping) -> String {
        let rows = sorted(rows(of: grouping))
        let shown = rows.prefix(limit)
        var table =
            switch grouping {
            case .process:
                Table(
                    .number("PID"), .text("Command", shrinks: true), .text("State", spare: 5),
                    .text("Mount", shrinks: true),
                    .number("Calls"), .number("Served %"), .number("Read", spare: 2), .number("Written", spare: 2),
                    .number("Saved"), .number("Windows", spare: 4), .number("Faults", spare: 6))
            default:
                Table(
                    .text(Self.heading(grouping), shrinks: grouping == .mount), .number("Live"),
                    .number("Ended", spare: 5),
                    .number("Calls"), .number("Served %"), .number("Read", spare: 2), .number("Written", spare: 2),
                    .number("Saved"), .number("Windows", spare: 4), .number("Faults", spare: 6))
            }
        for row in shown {
            let counters = row.counters
            let figures = [
                Figures.count(counters.total), Figures.percentText(counters.served, of: counters.total),
                Figures.bytes(counters.servedRead.saturatingAdd(counters.passedRead)),
                Figures.bytes(counters.servedWritten.saturatingAdd(counters.passedWritten)),
                row.saved.map(Figures.duration) ?? "?", Figures.count(row.windows), Figures.count(counters.faults),
            ]
            let head =
                grouping == .process
                ? [row.pid, row.name, row.state, row.mount]
                : [row.name, Figures.count(row.live), Figures.count(row.ended)]
            table.add(head + figures)
        }
        let rest = rows.count - shown.count
        return table.text(width: width)
            + (rest > 0 ? "\n... and \(Figures.count(UInt64(rest))) more (--limit, --json)" : "")
    }

    private static func heading(_ grouping: Grouping) -> String {
        switch grouping {
        case .command: "Program"
        case .mount: "Mount"
        case .process: "PID"
        case .user: "User"
        }
    }

    private func rows(of grouping: Grouping) -> [Row] {
        var rows: [String: Row] = [:]
        for (number, process) in snapshot.processes.enumerated() {
            for mount in process.mounts {
                let key =
                    switch grouping {
                    case .command: process.command
                    case .mount: mount.path
                    case .user: process.user
                    case .process: "\(number) \(mount.path)"
                    }
                var row = rows[key] ?? Row(name: grouping == .process ? Self.title(process) : key)
                row.pid = "\(process.pid)"
                row.state = process.isLive ? "live" : "ended"
                row.mount = mount.path
                // A process has a line for each mount, and counts once.
                let isNew = grouping == .mount || mount.path == process.mounts.first?.path
                if isNew, process.isLive { row.live += 1 }
                if isNew, !process.isLive { row.ended += 1 }
                row.windows = row.windows.saturatingAdd(mount.windows)
                add(mount.counters, processes: mount.windowsTotal > 0 ? 1 : 0, on: mount.path, to: &row)
                rows[key] = row
            }
        }
        guard grouping != .process else { return Array(rows.values) }
        for line in snapshot.ended {
            let key =
                switch grouping {
                case .mount: line.path
                case .user: line.user
                default: "(earlier programs)"
                }
            var row = rows[key] ?? Row(name: key)
            row.ended = row.ended.saturatingAdd(line.processes)
            add(line.counters, processes: min(line.processes, line.counters.windowsTotal), on: line.path, to: &row)
            rows[key] = row
        }
        return Array(rows.values)
    }

    private static func title(_ process: StatsSnapshot.Process) -> String {
        process.isLive ? ProcessView(pid: process.pid).title : process.command
    }

    private func add(_ counters: CallCounters, processes: UInt64, on mount: String, to row: inout Row) {
        row.counters += counters
        guard let calibration = calibrations[mount] else { return }
        let part = Estimate(counters, processes: processes, by: calibration)
        row.saved = (row.saved ?? 0) + part.saved
    }

    private func sorted(_ rows: [Row]) -> [Row] {
        func value(_ row: Row) -> Double {
            let counters = row.counters
            switch order {
            case .calls, .name: return Double(counters.total)
            case .served: return Figures.percent(counters.served, of: counters.total) ?? 0
            case .passed: return Double(counters.passedOn)
            case .read: return Double(counters.servedRead.saturatingAdd(counters.passedRead))
            case .written: return Double(counters.servedWritten.saturatingAdd(counters.passedWritten))
            case .saved: return row.saved ?? -.infinity
            }
        }
        return rows.sorted { one, other in
            if order == .name { return (one.name, one.pid) < (other.name, other.pid) }
            let (first, second) = (value(one), value(other))
            return first != second ? first > second : (one.name, one.pid) < (other.name, other.pid)
        }
    }
}
