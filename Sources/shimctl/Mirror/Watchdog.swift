import CMirror
import Glibc
import SystemPackage

/// The process that lets a file system go on when the copier does not. One for many passes: between two of them it has
/// nothing open, so that the file system can be unmounted.
final class Watchdog {
    /// What it is told, and answers.
    enum Word: UInt8 {
        /// A freeze begins, of the file system whose directory comes with it.
        case begins = 1
        case ends
        /// It has lasted too long: the watchdog is to let the file system go on, and to say so.
        case late
        /// It is ready; or it has done what it was told.
        case done
    }

    /// Seconds after which it lets a file system go on whatever happens.
    let limit: Double
    private let process: pid_t
    private let socket: FileDescriptor
    private var hasEnded = false

    init(limit: Double) throws {
        self.limit = limit
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Complaint(.failure, "the watchdog cannot be spoken to: \(Errno(rawValue: errno))")
        }
        let (mine, other) = (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, other.rawValue, 0)
        for number: Int32 in [1, 2] { posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_WRONLY, 0) }
        var words: [UnsafeMutablePointer<CChar>?] =
            (["shimctl", "mirror-watchdog", "\(Int(limit * 1_000))"] as [String]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child = pid_t()
        let reason = posix_spawn(&child, "/proc/self/exe", &actions, nil, &words, environ)
        try? other.close()
        guard reason == 0 else {
            try? mine.close()
            throw Complaint(.failure, "the watchdog cannot be started: \(Errno(rawValue: reason))")
        }
        process = child
        socket = mine
        // It is there, and has all it needs.
        guard hears() else { throw Complaint(.failure, "the watchdog does not answer") }
    }

    deinit {
        try? socket.close()
        var status: Int32 = 0
        while !hasEnded, waitpid(process, &status, 0) < 0, errno == EINTR {}
    }

    /// Whether it has not been killed.
    var isThere: Bool {
        if !hasEnded { hasEnded = waitpid(process, nil, WNOHANG) != 0 }
        return !hasEnded
    }

    /// - Throws: an `Errno` where it has gone.
    func tell(_ word: Word, _ root: FileDescriptor? = nil) throws {
        let reason = cmirror_send(socket.rawValue, word.rawValue, root?.rawValue ?? -1)
        guard reason == 0 else { throw Errno(rawValue: -reason) }
    }

    /// - Returns: whether it has let the file system go on. Otherwise it has been killed, or was stopped and is killed
    ///   here.
    func letsGoOn() -> Bool {
        guard (try? tell(.late)) != nil else { return false }
        var answer = pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0)
        if poll(&answer, 1, 2_000) > 0, hears() { return true }
        _ = kill(process, SIGKILL)
        return false
    }

    private func hears() -> Bool {
        var byte: UInt8 = 0
        var none: Int32 = -1
        return cmirror_receive(socket.rawValue, &byte, &none) == 1 && byte == Word.done.rawValue
    }
}
