import Glibc
import SystemPackage

/// A program that is run to its end, for what it does and says.
enum Subprocess {
    struct Result {
        /// As waitpid(2) has it; 0: done.
        let status: Int32
        /// What it printed, where that was asked for.
        let output: String
        /// What it wrote to standard error.
        let errors: String
        /// The last of the signals that would have ended us meanwhile, where they were held.
        let signal: Int32?
    }

    /// Runs `path` with no input, its output thrown away.
    /// - Throws: the reason why it cannot be started.
    static func run(_ path: String, _ arguments: [String]) throws -> Result {
        try start(path, arguments, environment: nil, keepsOutput: false)
    }

    /// A command for the shell that has to succeed, of an option `--prepare`; nothing: nothing is done. A signal that
    /// would end us reaches the shell as well, and ends us after it: the shell would go on without us otherwise.
    static func prepare(_ command: String?) throws {
        guard let command else { return }
        var signals = HeldSignals()
        defer { signals.release() }
        let run = try start("/bin/sh", ["-c", command], environment: nil, keepsOutput: false, signals: signals)
        if let signal = run.signal { throw HeldSignals.interruption(signal, before: "--prepare had ended") }
        guard run.status == 0 else { throw Complaint(.failure, "--prepare failed: \(run.errors.trimmed.printable)") }
    }

    /// Runs `path` with no input, and takes what it prints.
    /// - Throws: the reason why it cannot be started.
    static func output(_ path: String, _ arguments: [String], environment: [String: String]) throws -> Result {
        try start(path, arguments, environment: environment, keepsOutput: true)
    }

    private static func start(
        _ path: String, _ arguments: [String], environment: [String: String]?, keepsOutput: Bool,
        signals: HeldSignals? = nil
    ) throws -> Result {
        // Where it is ignored, as somebody may have left it to us, nobody learns how a child has ended.
        signal(SIGCHLD, SIG_DFL)
        let errors = try Pipe()
        let output = try Pipe()
        defer {
            errors.close()
            output.close()
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        if keepsOutput {
            posix_spawn_file_actions_adddup2(&actions, output.writer.rawValue, STDOUT_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, errors.writer.rawValue, STDERR_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        if let signals {
            withUnsafePointer(to: signals.before) { _ = posix_spawnattr_setsigmask(&attributes, $0) }
            posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        }
        var child = pid_t()
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = (environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + variables { free(word) } }
        let reason =
            environment == nil
            ? posix_spawn(&child, path, &actions, &attributes, &words, environ)
            : posix_spawn(&child, path, &actions, &attributes, &words, &variables)
        errors.closeWriter()
        output.closeWriter()
        guard reason == 0 else { throw Errno(rawValue: reason) }
        var watched = Watched(child, signals)
        let texts = read(from: [output.reader, errors.reader], untilEndOf: &watched)
        return Result(
            status: watched.wait(), output: String(decoding: texts[0], as: UTF8.self),
            errors: String(decoding: texts[1], as: UTF8.self), signal: watched.signal)
    }

    /// A child, and the signals that are held while it runs: they are handed on to it.
    private struct Watched {
        let child: pid_t
        var signals: HeldSignals?
        /// The last one that has come.
        private(set) var signal: Int32?
        private(set) var status: Int32?

        init(_ child: pid_t, _ signals: HeldSignals?) {
            self.child = child
            self.signals = signals
        }

        mutating func look() {
            while let arrival = signals?.arrived() { take(arrival) }
            if status == nil { status = ended(WNOHANG) }
        }

        /// - Returns: as waitpid(2) has it; 0 where the kernel knows nothing of the child.
        mutating func wait() -> Int32 {
            while status == nil {
                status = ended(signals == nil ? 0 : WNOHANG)
                // SIGCHLD is held as well, and ends this.
                if status == nil, let arrival = signals?.next(), arrival.number != SIGCHLD { take(arrival) }
            }
            while let arrival = signals?.arrived() { take(arrival) }
            return status ?? 0
        }

        private mutating func take(_ arrival: HeldSignals.Arrival) {
            signal = arrival.number
            // The terminal sends its signals to the child as well; others are sent to us alone. The number of a child
            // that has ended may be another process's already.
            if status == nil, !arrival.isTerminals { _ = kill(child, arrival.number) }
        }

        /// - Returns: nothing while it runs.
        private func ended(_ options: Int32) -> Int32? {
            var status: Int32 = 0
            while true {
                let found = waitpid(child, &status, options)
                if found < 0, errno == EINTR { continue }
                return found == 0 ? nil : found == child ? status : 0
            }
        }
    }

    private static let mostBytes = 1 << 20

    /// All that comes from several pipes until their other ends are closed, or the program has ended and nothing more
    /// comes: what it has left running may keep them open. Of each, no more than some.
    private static func read(from readers: [FileDescriptor], untilEndOf child: inout Watched) -> [[UInt8]] {
        var texts = readers.map { _ in [UInt8]() }
        var open = readers.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        // More than a pipe holds, 64 KiB: what was left running may write for ever.
        var rounds = 64
        while open.contains(where: { $0.fd >= 0 }) {
            let ready = poll(&open, nfds_t(open.count), child.status == nil ? 50 : 0)
            if ready < 0 {
                if errno == EINTR { continue }
                break
            }
            if child.status != nil {
                rounds -= 1
                if ready == 0 || rounds == 0 { break }
            }
            child.look()
            for index in open.indices where open[index].fd >= 0 && open[index].revents != 0 {
                let count = buffer.withUnsafeMutableBytes { Glibc.read(open[index].fd, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                // A negative number is left out by poll.
                if count <= 0 { open[index].fd = -1 }
                texts[index] += buffer.prefix(min(max(count, 0), mostBytes - texts[index].count))
            }
        }
        return texts
    }
}

/// Both ends of a pipe, which no other program inherits: a lock must not outlive us in it.
private final class Pipe {
    let reader: FileDescriptor
    private(set) var writer: FileDescriptor
    private var isWritable = true

    init() throws {
        (reader, writer) = try FileDescriptor.pipe()
        for end in [reader, writer] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    }

    func closeWriter() {
        if isWritable { try? writer.close() }
        isWritable = false
    }

    func close() {
        closeWriter()
        try? reader.close()
    }
}
