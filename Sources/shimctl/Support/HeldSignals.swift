import ArgumentParser
import Glibc

/// The signals that end a program, held back while a child of ours runs, for which they are meant. Those that somebody
/// had ignored or blocked stay so.
struct HeldSignals {
    struct Arrival {
        let number: Int32
        /// The terminal sends its signals to the child as well; others are sent to us alone.
        let isTerminals: Bool
    }

    /// The mask that was in force before.
    private(set) var before = sigset_t()
    private var held = sigset_t()

    /// Holds them back, and SIGCHLD with them, until `release`.
    init() {
        sigprocmask(SIG_BLOCK, nil, &before)
        sigemptyset(&held)
        sigaddset(&held, SIGCHLD)
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] {
            guard sigismember(&before, number) == 0, !Self.isIgnored(number) else { continue }
            sigaddset(&held, number)
        }
        sigprocmask(SIG_BLOCK, &held, nil)
    }

    mutating func release() { sigprocmask(SIG_SETMASK, &before, nil) }

    /// Waits for one of them.
    /// - Parameter due: nothing: as long as it takes.
    /// - Returns: nothing where the time was over.
    mutating func next(until due: ContinuousClock.Instant? = nil) -> Arrival? {
        next(of: &held, until: due)
    }

    /// One that has arrived already; SIGCHLD is left where it is.
    mutating func arrived() -> Arrival? {
        var deadly = held
        sigdelset(&deadly, SIGCHLD)
        return next(of: &deadly, until: .now)
    }

    private func next(of signals: inout sigset_t, until due: ContinuousClock.Instant?) -> Arrival? {
        var info = siginfo_t()
        let number: Int32
        if let due {
            let left = max((due - .now) / .nanoseconds(1), 0)
            var time = timespec(tv_sec: Int(left / 1e9), tv_nsec: Int(left.truncatingRemainder(dividingBy: 1e9)))
            number = sigtimedwait(&signals, &info, &time)
        } else {
            number = sigwaitinfo(&signals, &info)
        }
        // SI_KERNEL: nobody's kill.
        return number > 0 ? Arrival(number: number, isTerminals: info.si_code == 0x80) : nil
    }

    /// The end of a command that one of them ends before its work is done: its exit status is a shell's, 128 and the
    /// signal's number.
    static func interruption(_ number: Int32, before moment: String) -> ExitCode {
        Output.warn("shimctl: interrupted before \(moment)")
        return ExitCode(128 + number)
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
