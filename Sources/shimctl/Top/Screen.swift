import FoundationEssentials
import Glibc
import SystemPackage

/// The whole terminal: its second picture, without a cursor, and keys as they are pressed.
///
/// By the escape sequences of ECMA-48 that xterm, the Linux console, tmux and screen share, and not by ncurses, which
/// would bring libtinfo onto every machine for six of them.
enum Screen {
    enum Key {
        case pressed(Character)
        /// The time is over.
        case none
        /// Nobody is there any more.
        case ended
    }

    /// Takes the terminal for as long as `body` runs, and gives it back as it was, whatever ends it.
    static func use(_ body: () throws -> Void) throws {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else {
            throw Complaint(.failure, "the terminal: \(Errno(rawValue: errno))")
        }
        // Signals that would end us become a key: the terminal has to be given back.
        var stops = sigset_t()
        sigemptyset(&stops)
        // The one that stops us waits, too, as long as the terminal is ours.
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP] { sigaddset(&stops, signal) }
        var mask = sigset_t()
        sigprocmask(SIG_BLOCK, &stops, &mask)
        var raw = before
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw)
        write("\u{1b}[?1049h\u{1b}[?25l")
        defer {
            write("\u{1b}[?25h\u{1b}[?1049l")
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            sigprocmask(SIG_SETMASK, &mask, nil)
        }
        try body()
    }

    /// Shows these lines and nothing else. Each is written over what was there, so that nothing flickers.
    static func show(_ lines: [String]) {
        write("\u{1b}[H" + lines.map { $0 + "\u{1b}[K" }.joined(separator: "\n") + "\u{1b}[J")
    }

    /// The next key, or a signal that means the end.
    static func key(within milliseconds: Int32) -> Key {
        var pending = sigset_t()
        let step: Int32 = 100
        var left = milliseconds
        while true {
            sigpending(&pending)
            if [SIGINT, SIGTERM, SIGHUP, SIGQUIT].contains(where: { sigismember(&pending, $0) == 1 }) { return .ended }
            var wanted = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            let found = poll(&wanted, 1, min(left, step))
            if found > 0 {
                var byte: UInt8 = 0
                return read(STDIN_FILENO, &byte, 1) == 1 ? .pressed(Character(UnicodeScalar(byte))) : .ended
            }
            left -= step
            if left <= 0 { return .none }
        }
    }

    private static func write(_ text: String) { _ = try? FileDescriptor.standardOutput.writeAll(text.utf8) }
}
