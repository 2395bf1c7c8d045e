import ArgumentParser
import CMirror
import Glibc
import SystemPackage

/// The process that thaws. Not for people.
struct MirrorWatchdogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror-watchdog", abstract: "Thaws what a copier has left frozen.", shouldDisplay: false)

    @Argument(help: "Milliseconds.") var limit: Int32

    func run() throws {
        // What stops the copier must not stop this one.
        _ = setsid()
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT] { signal(number, SIG_IGN) }
        // What it touches stays in memory. All of the program would be 40 MB: what it needs is touched by a rehearsal.
        _ = mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE) | Int32(MCL_ONFAULT))
        if let score = try? FileDescriptor.open("/proc/self/oom_score_adj", .writeOnly) {
            _ = try? score.closeAfter { try score.writeAll("-1000".utf8) }
        }
        _ = cmirror_thaw(-1)
        _ = wait(upTo: 1)
        guard cmirror_send(0, Watchdog.Word.done.rawValue, -1) == 0 else { return }
        var root: Int32 = -1
        while let word = receive(&root) {
            guard word == .begins, root >= 0 else { continue }
            let isThere = watch(root)
            _ = close(root)
            guard isThere else { return }
        }
    }

    /// - Returns: nothing where the copier is gone.
    private func receive(_ descriptor: inout Int32) -> Watchdog.Word? {
        var byte: UInt8 = 0
        guard cmirror_receive(0, &byte, &descriptor) == 1 else { return nil }
        return Watchdog.Word(rawValue: byte)
    }

    /// - Returns: whether there is something to be received, within so many ms; below 0: however long it takes.
    private func wait(upTo time: Int32) -> Bool {
        var end = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        return poll(&end, 1, time) > 0
    }

    /// Until the copier says that the freeze has ended. When it is late the file system is let go on: tried again and
    /// again, since the freeze itself may take longer than that, and done once, since the next freeze is somebody
    /// else's.
    /// - Returns: false where the copier is gone: then the file system goes on.
    private func watch(_ root: Int32) -> Bool {
        let begin = ContinuousClock.now
        var isDone = false
        while true {
            let left = Double(limit) - (ContinuousClock.now - begin) / .milliseconds(1)
            if left <= 0, !isDone { isDone = cmirror_thaw(root) == 0 }
            guard wait(upTo: isDone ? -1 : left > 0 ? Int32(left.rounded(.up)) : 10) else { continue }
            var none: Int32 = -1
            let word = receive(&none)
            if !isDone, word == nil || word == .late { _ = cmirror_thaw(root) }
            if word == .late { _ = cmirror_send(0, Watchdog.Word.done.rawValue, -1) }
            return word != nil
        }
    }
}
