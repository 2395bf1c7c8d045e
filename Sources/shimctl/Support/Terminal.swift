import FoundationEssentials
import Glibc

/// The terminal that standard output goes to, if it is one.
enum Terminal {
    enum Colour: String {
        case plain = ""
        case red = "31"
        case green = "32"
        case yellow = "33"
        case bold = "1"
        case dim = "2"
    }

    /// Colours are for terminals, and not for those who have said so (no-color.org), nor for one that knows none.
    static let hasColours: Bool = {
        let environment = ProcessInfo.processInfo.environment
        return isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }()

    static func coloured(_ text: String, _ colour: Colour) -> String {
        hasColours && colour != .plain ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
    }

    /// Columns of the terminal; 80 where standard output is none, or nobody knows. `COLUMNS` is heeded, as the man
    /// pages of ls(1) and ps(1) have it.
    static var width: Int {
        if let text = ProcessInfo.processInfo.environment["COLUMNS"], let columns = Int(text), columns >= 20 {
            return min(columns, 1_000)
        }
        return size.columns
    }

    /// As it is now: it may be given another size at any time.
    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 20 else { return (80, 24) }
        return (min(Int(size.ws_col), 1_000), max(Int(size.ws_row), 4))
    }
}
