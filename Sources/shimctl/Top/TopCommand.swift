import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl top`: what happens now.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show live what the shim does: processes, mounts, hot files, reasons for passing calls on.",
        discussion: """
            Every interval is shown by itself. In a pipe, or with --once, one interval is shown.

            KEYS
              p      processes
              m      mounts
              f      hot files
              r      reasons for passing calls on
              c      sort by calls
              s      sort by the served share
              b      sort by bytes
              t      sort by the time saved
              space  stop, and go on
              ?      help
              q      quit

            EXAMPLES
              shimctl top
              sudo shimctl top --all-users
              shimctl top --once --delay 5 | head

            EXIT STATUS
              0; 1 if the figures cannot be read; 64 for a bad option
            """)

    @Option(
        name: [.customShort("d", allowingJoined: true), .long], parsing: .unconditional,
        help: ArgumentHelp("Seconds between two pictures.", valueName: "seconds"))
    var delay = 1.0

    @Flag(help: "Show one interval and end.")
    var once = false

    @OptionGroup var users: UserOptions

    func validate() throws {
        guard delay >= 0.1, delay <= 3_600 else {
            throw ValidationError("--delay \(delay): between 0.1 and 3600 seconds.")
        }
    }

    func run() throws {
        try Complaint.reported(by: "top") {
            let source = try users.source()
            if once || isatty(STDOUT_FILENO) == 0 || isatty(STDIN_FILENO) == 0 { return try showOnce(source) }
            try Screen.use { try follow(source) }
        }
    }

    private func showOnce(_ source: StatsSource) throws {
        var sampler = try TopSampler(source)
        Pause.take(seconds: delay)
        let frame = try sampler.next()
        let lines = TopView(isOfAll: !users.isOwn).lines(frame, heat: [], width: Terminal.width, rows: .max)
        try Output.line(lines.joined(separator: "\n"))
    }

    private func follow(_ source: StatsSource) throws {
        var sampler = try TopSampler(source)
        var view = TopView(isOfAll: !users.isOwn)
        Screen.show(["shimctl top: the first figures come in \(Figures.fixed(delay, decimals: 1)) s; q quits"])
        // The first picture soon, the others as was asked.
        var frame: TopFrame?
        var due = ContinuousClock.now + .seconds(min(delay, 0.5))
        while true {
            let left = max((due - .now) / .milliseconds(1), 0)
            switch Screen.key(within: Int32(min(left, 3_600_000))) {
            case .pressed(let key):
                if key == "q" || key == "Q" || key == "\u{3}" { return }
                if key == " " { view.isPaused.toggle() }
                if key == "h" { view.page = .help }
                // The same key, or Escape, leads back.
                if key == "\u{1b}" || key == "?" && view.page == .help {
                    view.page = .processes
                } else if let page = TopView.Page(rawValue: key) {
                    view.page = page
                }
                if let order = TopView.Order(rawValue: key) { view.order = order }
            case .ended: return
            case .none:
                if !view.isPaused || frame == nil { frame = try sampler.next() }
                due = .now + .seconds(delay)
            }
            guard let frame else { continue }
            let size = Terminal.size
            let heat = view.page == .files ? sampler.heat : []
            Screen.show(view.lines(frame, heat: heat, width: size.columns, rows: size.rows - 1))
        }
    }
}

/// Takes samples, one after the other.
struct TopSampler {
    private let source: StatsSource
    private var earlier: StatsSnapshot
    private var then = ContinuousClock.now

    init(_ source: StatsSource) throws {
        self.source = source
        earlier = try source.snapshot()
    }

    mutating func next() throws -> TopFrame {
        let later = try source.snapshot()
        let now = ContinuousClock.now
        let prices = Calibration.kept(for: later.mounts, in: [try? RuntimePlace()])
        defer { (earlier, then) = (later, now) }
        return TopFrame(from: earlier, to: later, interval: (now - then) / .seconds(1), calibrations: prices)
    }

    /// Of the first user that is looked at.
    var heat: [HeatSnapshot.File] { (try? HeatSnapshot.read(in: source.places[0].place))?.files ?? [] }
}
