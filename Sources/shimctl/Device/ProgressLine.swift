import FoundationEssentials
import Glibc

/// One line on a terminal that says how far long work has come; nothing for work of less than half a second, and
/// nothing where standard error is no terminal.
final class ProgressLine {
    private let title: String
    private let total: UInt64
    private let isShown = isatty(STDERR_FILENO) == 1
    private let begin = ContinuousClock.now
    private var last = ContinuousClock.now
    private var hasLine = false

    init(_ title: String, total: UInt64) {
        self.title = title
        self.total = total
    }

    deinit { end() }

    func show(_ done: UInt64) {
        guard isShown else { return }
        let now = ContinuousClock.now
        guard now - begin > .milliseconds(500), now - last > .milliseconds(100) else { return }
        last = now
        hasLine = true
        let text = "\r\u{1b}[K\(title): \(Figures.percentText(done, of: total)) %"
        Output.error(text)
    }

    func end() {
        if hasLine { Output.error("\r\u{1b}[K") }
        hasLine = false
    }
}
