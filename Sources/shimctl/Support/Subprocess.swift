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
    }

    /// Runs `path` with no input, its output thrown away.
    /// - Throws: the reason why it cannot be started.
    static func run(_ path: String, _ arguments: [String]) throws -> Result {
        try start(path, arguments, environment: nil, keepsOutput: false)
    }

    /// A command for the shell that has to succeed, of an option `--prepare`; nothing: nothing is done.
    static func prepare(_ command: String?) throws {
        guard let command else { return }
        let run = try run("/bin/sh", ["-c", command])
        guard run.status == 0 else { throw Complaint(.failure, "--prepare failed: \(run.errors.trimmed.printable)") }
    }

    /// Runs `path` with no input, and takes what it prints.
    /// - Throws: the reason why it cannot be started.
    static func output(_ path: String, _ arguments: [String], environment: [String: String]) throws -> Result {
        try start(path, arguments, environment: environment, keepsOutput: true)
    }

    private static func start(
        _ path: String, _ arguments: [String], environment: [String: String]?, keepsOutput: Bool
    ) throws -> Result {
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
        var child = pid_t()
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = (environment ?? [:]).map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in words + variables { free(word) } }
        let reason =
            environment == nil
            ? posix_spawn(&child, path, &actions, nil, &words, environ)
            : posix_spawn(&child, path, &actions, nil, &words, &variables)
        errors.closeWriter()
        output.closeWriter()
        guard reason == 0 else { throw Errno(rawValue: reason) }
        let (texts, status) = read(from: [output.reader, errors.reader], untilEndOf: child)
        return Result(
            status: status, output: String(decoding: texts[0], as: UTF8.self),
            errors: String(decoding: texts[1], as: UTF8.self))
    }

    private static let mostBytes = 1 << 20

    /// All that comes from several pipes until their other ends are closed, or the program has ended and nothing more
    /// comes: what it has left running may keep them open. Of each, no more than some.
    private static func read(from readers: [FileDescriptor], untilEndOf child: pid_t) -> ([[UInt8]], Int32) {
        var texts = readers.map { _ in [UInt8]() }
        var open = readers.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var status: Int32?
        while open.contains(where: { $0.fd >= 0 }) {
            let ready = poll(&open, nfds_t(open.count), status == nil ? 50 : 0)
            if ready < 0, errno != EINTR { break }
            if ready == 0 {
                if status != nil { break }
                status = ended(child, WNOHANG)
                continue
            }
            for index in open.indices where open[index].fd >= 0 && open[index].revents != 0 {
                let count = buffer.withUnsafeMutableBytes { Glibc.read(open[index].fd, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                // A negative number is left out by poll.
                if count <= 0 { open[index].fd = -1 }
                texts[index] += buffer.prefix(min(max(count, 0), mostBytes - texts[index].count))
            }
        }
        return (texts, status ?? ended(child, 0) ?? 0)
    }

    /// - Returns: nothing while it runs.
    private static func ended(_ child: pid_t, _ options: Int32) -> Int32? {
        var status: Int32 = 0
        while true {
            let found = waitpid(child, &status, options)
            if found == child { return status }
            if found < 0, errno == EINTR { continue }
            return nil
        }
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
