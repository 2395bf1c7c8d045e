import ArgumentParser
import CMirror
import Glibc
import SystemPackage

/// Stops a mounted file system for a moment. A process of its own lets it go on if this one ends, hangs or takes too
/// long: a file system that stands still hangs whoever writes to it.
final class Freezer {
    private let root: FileDescriptor
    private let watchdog: pid_t
    private let rope: FileDescriptor
    private let limit: Double
    private var begin: ContinuousClock.Instant?
    /// The watchdog was left to let the file system go on.
    private var isLate = false

    /// - Parameters:
    ///   - root: a directory of it.
    ///   - limit: seconds after which the watchdog lets it go on.
    init(_ root: FileDescriptor, limit: Double) throws {
        self.root = root
        self.limit = limit
        let orders = try FileDescriptor.pipe()
        let answers = try FileDescriptor.pipe()
        for end in [orders.readEnd, orders.writeEnd, answers.readEnd, answers.writeEnd] {
            _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, orders.readEnd.rawValue, 0)
        posix_spawn_file_actions_adddup2(&actions, answers.writeEnd.rawValue, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, root.rawValue, 3)
        var words: [UnsafeMutablePointer<CChar>?] =
            (["shimctl", "mirror-watchdog", "\(Int(limit * 1_000))"] as [String]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child = pid_t()
        let reason = posix_spawn(&child, "/proc/self/exe", &actions, nil, &words, environ)
        try? orders.readEnd.close()
        try? answers.writeEnd.close()
        defer { try? answers.readEnd.close() }
        guard reason == 0 else {
            try? orders.writeEnd.close()
            throw Complaint(.failure, "the watchdog cannot be started: \(Errno(rawValue: reason))")
        }
        watchdog = child
        rope = orders.writeEnd
        // It is there, and has all it needs.
        var byte: UInt8 = 0
        guard Glibc.read(answers.readEnd.rawValue, &byte, 1) == 1 else {
            throw Complaint(.failure, "the watchdog does not answer")
        }
    }

    deinit {
        if begin != nil { _ = try? thaw() }
        try? rope.close()
        var status: Int32 = 0
        while waitpid(watchdog, &status, 0) < 0, errno == EINTR {}
        // It was killed before it could do what it had been told.
        if isLate, status & 0x7f != 0 { _ = cmirror_thaw(root.rawValue) }
    }

    /// Tells the watchdog.
    /// - Throws: an `Errno` where it has gone; no signal tells that, which of standard output is to be one.
    private func order(_ byte: UInt8) throws {
        let before = signal(SIGPIPE, SIG_IGN)
        defer { signal(SIGPIPE, before) }
        try rope.writeAll([byte])
    }

    /// Whether the file system surely stands still, and will for a while.
    var holds: Bool { begin.map { ContinuousClock.now - $0 < .seconds(limit / 2) } ?? false }

    func freeze() throws {
        do {
            try order(1)
        } catch {
            throw Complaint(.failure, "the watchdog is gone: nothing is frozen without it")
        }
        begin = .now
        let reason = cmirror_freeze(root.rawValue)
        guard reason == 0 else {
            begin = nil
            try? order(2)
            let why = reason == -EBUSY ? "something else has frozen it" : "\(Errno(rawValue: -reason))"
            throw Complaint(.failure, "the file system cannot be frozen: \(why)")
        }
    }

    /// - Returns: how long it stood still, ns.
    /// - Throws: a `Complaint` where the watchdog was faster: then what was read meanwhile is of no one moment.
    func thaw() throws -> UInt64 {
        guard let began = begin else { return 0 }
        begin = nil
        var taken = ContinuousClock.now - began
        var reason: Int32 = 0
        if taken >= .seconds(limit), (try? order(3)) != nil {
            // The watchdog has done it or does it now; somebody else may have frozen it again.
            isLate = true
        } else {
            reason = cmirror_thaw(root.rawValue)
            taken = ContinuousClock.now - began
            try? order(2)
        }
        guard reason == 0, taken < .seconds(limit) else {
            throw Complaint(
                .failure,
                "the pass did not end within --freeze-limit (\(Int(limit * 1_000)) ms), and the file system was let go"
                    + " on: the mirror keeps its older state")
        }
        return UInt64(max(taken / .nanoseconds(1), 0))
    }
}

/// The process that thaws. Not for people.
struct MirrorWatchdogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror-watchdog", abstract: "Thaws what a copier has left frozen.", shouldDisplay: false)

    @Argument(help: "Milliseconds.") var limit: Int32

    func run() throws {
        // What stops the copier must not stop this one.
        _ = setsid()
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT] { signal(number, SIG_IGN) }
        _ = mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE))
        if let score = try? FileDescriptor.open("/proc/self/oom_score_adj", .writeOnly) {
            _ = try? score.closeAfter { try score.writeAll("-1000".utf8) }
        }
        var byte: UInt8 = 1
        guard write(1, &byte, 1) == 1 else { return }
        _ = close(1)
        // 1: a freeze begins. 2: it has ended. 3: it has lasted too long. The end of the pipe: the copier is gone.
        while read(0, &byte, 1) == 1 {
            guard byte == 1 else { continue }
            guard waits() else { return }
        }
    }

    /// Until the copier says that the freeze has ended. When it is late the file system is let go on: tried again and
    /// again, since the freeze itself may take longer than that, and done once, since the next freeze is somebody
    /// else's.
    /// - Returns: false where the copier is gone: then the file system goes on.
    private func waits() -> Bool {
        var end = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        let begin = ContinuousClock.now
        var isDone = false
        while true {
            let left = Double(limit) - (ContinuousClock.now - begin) / .milliseconds(1)
            if left <= 0, !isDone { isDone = cmirror_thaw(3) == 0 }
            guard poll(&end, 1, isDone ? -1 : left > 0 ? Int32(left.rounded(.up)) : 10) > 0 else { continue }
            var byte: UInt8 = 0
            let isThere = read(0, &byte, 1) == 1
            if !isDone, !isThere || byte == 3 { _ = cmirror_thaw(3) }
            return isThere
        }
    }
}
