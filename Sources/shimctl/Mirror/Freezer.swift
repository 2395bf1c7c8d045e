import CMirror
import Glibc
import SystemPackage

/// Stops a mounted file system for a moment. A process of its own lets it go on if this one ends, hangs or takes too
/// long: a file system that stands still hangs whoever writes to it.
final class Freezer {
    private let root: FileDescriptor
    private let watchdog: Watchdog
    private var begin: ContinuousClock.Instant?

    /// - Parameter root: a directory of it.
    init(_ root: FileDescriptor, _ watchdog: Watchdog) {
        self.root = root
        self.watchdog = watchdog
    }

    deinit { if begin != nil { _ = try? thaw() } }

    /// Whether the file system surely stands still, and will for a while.
    var holds: Bool { begin.map { ContinuousClock.now - $0 < .seconds(watchdog.limit / 2) } ?? false }

    func freeze() throws {
        do {
            try watchdog.tell(.begins, root)
        } catch {
            throw Complaint(.failure, "the watchdog is gone: nothing is frozen without it")
        }
        begin = .now
        let reason = cmirror_freeze(root.rawValue)
        guard reason == 0 else {
            begin = nil
            try? watchdog.tell(.ends)
            let why =
                reason == -EBUSY
                ? "it stands still already: something else has frozen it, or a copier that was killed together with"
                    + " its watchdog (shimctl mirror thaw)"
                : "\(Errno(rawValue: -reason))"
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
        // Too late: the watchdog has done it, or does it now; somebody else may have frozen it again.
        if taken < .seconds(watchdog.limit) || !watchdog.letsGoOn() {
            reason = cmirror_thaw(root.rawValue)
            taken = ContinuousClock.now - began
            try? watchdog.tell(.ends)
        }
        guard reason == 0, taken < .seconds(watchdog.limit) else {
            throw Complaint(
                .failure,
                "the pass did not end within --freeze-limit (\(Int(watchdog.limit * 1_000)) ms), and the file system"
                    + " was let go on: this pass is given up")
        }
        return UInt64(max(taken / .nanoseconds(1), 0))
    }
}
