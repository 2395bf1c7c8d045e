import FoundationEssentials
import Glibc

/// How a frame is shown.
struct TopView {
    enum Page: Character, CaseIterable {
        case processes = "p"
        case mounts = "m"
        case files = "f"
        case reasons = "r"
        case help = "?"
    }
    enum Order: Character, CaseIterable {
        case calls = "c"
        case served = "s"
        case bytes = "b"
        case saved = "t"
    }

    var page = Page.processes
    var order = Order.calls
    var isPaused = false
    /// All users' figures are looked at.
    var isOfAll = false

    /// The lines of a screen, no more than `rows`, none wider than `width`.
    func lines(_ frame: TopFrame, heat: [HeatSnapshot.File], width: Int, rows: Int) -> [String] {
        var lines = header(frame, width) + [""]
        switch page {
        case .processes: lines += processTable(frame, width)
        case .mounts: lines += mountTable(frame, width)
        case .files: lines += fileTable(heat, width)
        case .reasons: lines += reasonTable(frame, width)
        case .help: lines += Self.help
        }
        guard rows < .max else { return lines }
        // The last line says what can be pressed.
        let room = max(rows - 1, 1)
        lines = Array(lines.prefix(room)) + Array(repeating: "", count: max(room - lines.count, 0))
        return (lines + [Self.keys]).prefix(rows).map { $0.cut(width) }
    }

    private func header(_ frame: TopFrame, _ width: Int) -> [String] {
        let clock = Date(timeIntervalSince1970: Double(frame.time) / 1e9).formatted(.iso8601).dropFirst(11).prefix(8)
        let counters = frame.counters
        let read = frame.perSecond(counters.servedRead.saturatingAdd(counters.passedRead))
        let written = frame.perSecond(counters.servedWritten.saturatingAdd(counters.passedWritten))
        let processes = frame.liveProcesses == 1 ? "1 process" : "\(frame.liveProcesses) processes"
        let mounts = frame.mounts.count == 1 ? "1 mount" : "\(frame.mounts.count) mounts"
        let second =
            "\(Self.rate(frame.perSecond(counters.total))) calls/s, read \(Figures.bytes(read))/s,"
            + " written \(Figures.bytes(written))/s"
        let share = Figures.percent(counters.served, of: counters.total)
        let room = max(min(width - 24, 50), 10)
        let filled = Int(((share ?? 0) / 100 * Double(room)).rounded())
        let bar = "[" + String(repeating: "|", count: filled) + String(repeating: " ", count: room - filled) + "]"
        let saved = frame.saved.map {
            ["saves about \(Self.plain($0 / 1e9 / frame.interval, 2)) s of CPU in each second"]
        }
        return [
            "shimctl top  \(clock) UTC  \(processes) on \(mounts)" + (isPaused ? "  PAUSED" : ""), second,
            "served \(bar) " + (share.map { Figures.fixed($0, decimals: 1) + " %" } ?? "no calls"),
        ] + (saved ?? [])
    }

    private func sorted(_ rows: [TopFrame.Row]) -> [TopFrame.Row] {
        func value(_ row: TopFrame.Row) -> Double {
            switch order {
            case .calls: Double(row.counters.total)
            case .served: Figures.percent(row.counters.served, of: row.counters.total) ?? -1
            case .bytes: Double(row.bytes)
            case .saved: row.saved ?? -.infinity
            }
        }
        return rows.sorted { one, other in
            let (first, second) = (value(one), value(other))
            return first != second
                ? first > second : (one.command, one.pid, one.mount) < (other.command, other.pid, other.mount)
        }
    }

    private func processTable(_ frame: TopFrame, _ width: Int) -> [String] {
        let hasUsers = frame.processes.contains { !$0.user.isEmpty }
        var table = Table(
            .number("PID"), .text(hasUsers ? "User" : "", spare: hasUsers ? 3 : 9), .text("Command", shrinks: true),
            .number(title("Calls/s", .calls)), .number(title("Served %", .served)), .number("Read/s"),
            .number("Written/s"), .number(title("Saved", .saved)), .number("Windows", spare: 4),
            .number("Mapped", spare: 5), .text("Mount", shrinks: true), .text("Mostly passed on", spare: 6))
        for row in sorted(frame.processes).prefix(500) {
            table.add(
                ["\(row.pid)", row.user, row.command] + figures(row, frame) + [row.mount, Self.reason(row.counters)])
        }
        return table.rows.isEmpty ? [nothing] : table.lines(width: width)
    }

    private var nothing: String {
        let others = RuntimePlace.otherUsers.map(\.name).joined(separator: ", ")
        return "Nothing runs that has used a served file."
            + (others.isEmpty || isOfAll ? "" : " Other users have figures: \(others): --user NAME, --all-users.")
    }

    private func mountTable(_ frame: TopFrame, _ width: Int) -> [String] {
        var table = Table(
            .text("Mount", shrinks: true), .number(title("Calls/s", .calls)), .number(title("Served %", .served)),
            .number("Read/s"), .number("Written/s"), .number(title("Saved", .saved)), .number("Windows"),
            .number("Mapped"), .text("Mostly passed on", spare: 6))
        for row in sorted(frame.mounts) {
            table.add([row.mount] + figures(row, frame) + [Self.reason(row.counters)])
        }
        return table.rows.isEmpty ? ["No mount has figures."] : table.lines(width: width)
    }

    private func figures(_ row: TopFrame.Row, _ frame: TopFrame) -> [String] {
        let counters = row.counters
        return [
            Self.rate(frame.perSecond(counters.total)), Figures.percentText(counters.served, of: counters.total),
            Figures.bytes(frame.perSecond(counters.servedRead.saturatingAdd(counters.passedRead))),
            Figures.bytes(frame.perSecond(counters.servedWritten.saturatingAdd(counters.passedWritten))),
            row.saved.map { Self.plain($0 / 1e7 / frame.interval, 0) + " %" } ?? "?",
            Figures.count(row.windows), Figures.bytes(row.mapped),
        ]
    }

    private func fileTable(_ files: [HeatSnapshot.File], _ width: Int) -> [String] {
        guard !files.isEmpty else { return ["No file was used long enough for a sample."] }
        var table = Table(
            .text("File", shrinks: true), .number("Reads"), .number("Writes"), .number("Pages", spare: 1), .text(""))
        let most = Double(files.map(\.total.samples).max() ?? 1)
        for file in files.prefix(500) {
            let total = file.total
            let length = Int((Double(total.samples) / max(most, 1) * 20).rounded(.up))
            table.add(
                file.path.isEmpty ? "inode \(file.inode)" : file.path, Figures.count(total.reads),
                Figures.count(total.writes), Figures.count(total.allocated),
                String(repeating: "#", count: min(length, 20)))
        }
        return ["Samples since the files were first used"] + table.lines(width: width)
    }

    private func reasonTable(_ frame: TopFrame, _ width: Int) -> [String] {
        var table = Table(.text("Passed on"), .number("Calls/s"), .number("%"), .text("Because", shrinks: true))
        let reasons = frame.counters.reasons
        for (outcome, count) in reasons {
            table.add(
                outcome.name, Self.rate(frame.perSecond(count)), Figures.percentText(count, of: frame.counters.total),
                outcome.explanation)
        }
        guard !reasons.isEmpty else { return ["Nothing is passed on."] }
        var lines = table.lines(width: width)
        if let cure = reasons.first?.outcome.cure { lines += [""] + Wrapped.lines("-> \(cure)", 0, width) }
        return lines
    }

    private static let keys = "p m f r: view   c s b t: sort   space: pause   ?: help   q: quit"

    private static let help = [
        "p  processes     m  mounts     f  hot files     r  reasons for passing calls on",
        "c  sort by calls    s  by served share    b  by bytes    t  by time saved",
        "space  stop and go on     q  quit     ?  this page",
        "",
        "A star marks the column that the rows are sorted by.",
        "Saved is CPU time in each second, estimated from what calls cost there:",
        "shimctl bench --quick DIR measures a mount; ? where that was not done.",
    ]

    private func title(_ text: String, _ order: Order) -> String { self.order == order ? text + "*" : text }

    /// The most frequent reason, if there is one to speak of.
    private static func reason(_ counters: CallCounters) -> String {
        counters.reasons.first.map {
            "\($0.outcome.name) \(Figures.percentText($0.calls, of: counters.total)) %"
        } ?? ""
    }

    /// Without a minus before nothing.
    private static func plain(_ value: Double, _ decimals: Int) -> String {
        let text = Figures.fixed(value, decimals: decimals)
        return text.contains(where: { ("1"..."9").contains($0) }) ? text : text.replacing("-", with: "")
    }

    private static func rate(_ value: Double) -> String { Figures.count(UInt64(min(max(value, 0), 1e18))) }
}

extension String {
    /// No more than so many columns from its beginning.
    fileprivate func cut(_ most: Int) -> String {
        var result = ""
        var columns = 0
        for character in self {
            columns += character.columns
            guard columns <= most else { break }
            result.append(character)
        }
        return result
    }
}
