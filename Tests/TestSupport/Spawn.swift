import Foundation
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Runs a program to its end: feeds its standard input, drains both outputs, and kills its process group when
/// `timeout` has passed. The environment is the caller's, or exactly `environment` where given.
///
/// Not for programs that leave children behind with the outputs open: those are waited for a tenth of a second.
public func spawn(
    _ program: String, _ arguments: [String] = [], environment: [String: String]? = nil, stdin: [UInt8] = [],
    workingDirectory: String? = nil, timeout: Duration = .seconds(60)
) throws -> Run {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }

    let input = try Pipe.make()
    let output = try Pipe.make()
    let error = try Pipe.make()
    defer { for pipe in [input, output, error] { pipe.close() } }
    posix_spawn_file_actions_adddup2(&actions, input.reader, 0)
    posix_spawn_file_actions_adddup2(&actions, output.writer, 1)
    posix_spawn_file_actions_adddup2(&actions, error.writer, 2)
    // The program must see the same descriptors whatever the test process happens to have open.
    try GNUFunctions.addCloseFrom(3, to: &actions)
    if let workingDirectory { try GNUFunctions.addChangeDirectory(workingDirectory, to: &actions) }

    // Swift Testing's process ignores SIGPIPE, and ignored signals are inherited.
    var mask = sigset_t()
    var defaults = sigset_t()
    sigemptyset(&mask)
    sigfillset(&defaults)
    posix_spawnattr_setsigmask(&attributes, &mask)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    let variables = (environment ?? ProcessInfo.processInfo.environment).map { "\($0)=\($1)" }.sorted()
    var child = pid_t()
    let failure = withCStrings([program] + arguments) { argv in
        withCStrings(variables) { envp in posix_spawn(&child, program, &actions, &attributes, argv, envp) }
    }
    guard failure == 0 else { throw SetupError("cannot run \(program): \(Errno(rawValue: failure))") }
    for end in [input.reader, output.writer, error.writer] { _ = close(end) }
    input.reader = -1
    output.writer = -1
    error.writer = -1
    var supervision = Supervision(child: child, input: input, output: output, error: error, stdin: stdin)
    return supervision.finish(before: .now + timeout * Machine.patience)
}

/// The two ends of a pipe; -1 once closed.
private final class Pipe {
    var reader: CInt, writer: CInt

    private init(reader: CInt, writer: CInt) {
        self.reader = reader
        self.writer = writer
    }

    static func make() throws -> Pipe {
        var ends: [CInt] = [-1, -1]
        try GNUFunctions.pipe2(&ends)
        return Pipe(reader: ends[0], writer: ends[1])
    }

    func close() {
        if reader >= 0 { _ = Glibc.close(reader) }
        if writer >= 0 { _ = Glibc.close(writer) }
        reader = -1
        writer = -1
    }
}

/// A running child and the bytes that go in and out.
private struct Supervision {
    let child: pid_t
    let input: Pipe, output: Pipe, error: Pipe
    let stdin: [UInt8]
    var stdinSent = 0
    var collected: [[UInt8]] = [[], []]
    var status: CInt?

    init(child: pid_t, input: Pipe, output: Pipe, error: Pipe, stdin: [UInt8]) {
        self.child = child
        self.input = input
        self.output = output
        self.error = error
        self.stdin = stdin
        _ = fcntl(input.writer, F_SETFL, O_NONBLOCK)
    }

    mutating func finish(before deadline: ContinuousClock.Instant) -> Run {
        var timedOut = false
        feed()
        while output.reader >= 0 || error.reader >= 0 || status == nil {
            if !timedOut, ContinuousClock.now >= deadline {
                timedOut = true
                _ = kill(-child, SIGKILL)
            }
            // A child that had ended before this look has nothing more to say; one that ends after it may have.
            let hadEnded = status != nil
            let quiet = !transfer()
            if hadEnded && quiet { break }
            reap()
        }
        _ = kill(-child, SIGKILL)  // whoever of its group is left
        return Run(
            ending: timedOut ? .timedOut : ending(of: status ?? 0), output: collected[0], errorOutput: collected[1],
            counts: ServedCounts())
    }

    /// Waits up to a tenth of a second for bytes to move; false when none did.
    private mutating func transfer() -> Bool {
        var items = [
            pollfd(fd: output.reader, events: Int16(POLLIN), revents: 0),
            pollfd(fd: error.reader, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input.writer, events: Int16(POLLOUT), revents: 0),
        ]
        let allClosed = output.reader < 0 && error.reader < 0
        guard poll(&items, 3, allClosed ? 1 : 100) > 0 else { return false }
        if items[2].revents != 0 { feed() }
        if items[0].revents != 0 { drain(output, into: 0) }
        if items[1].revents != 0 { drain(error, into: 1) }
        return items[0].revents != 0 || items[1].revents != 0
    }

    private mutating func drain(_ pipe: Pipe, into index: Int) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(pipe.reader, &buffer, buffer.count)
        if count > 0 {
            collected[index] += buffer[..<count]
        } else if count == 0 || errno != EINTR {
            _ = close(pipe.reader)
            pipe.reader = -1
        }
    }

    private mutating func feed() {
        guard input.writer >= 0 else { return }
        while stdinSent < stdin.count {
            let sent = stdin[stdinSent...].withUnsafeBytes { write(input.writer, $0.baseAddress, $0.count) }
            if sent < 0 && errno == EAGAIN { return }
            if sent < 0 { break }  // EPIPE: it does not want more
            stdinSent += sent
        }
        _ = close(input.writer)
        input.writer = -1
    }

    private mutating func reap() {
        var status: CInt = 0
        if self.status == nil && waitpid(child, &status, WNOHANG) == child { self.status = status }
    }

    private func ending(of status: CInt) -> Run.Ending {
        let signal = status & 0x7f
        return signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
    }
}

/// Calls `body` with a NULL-terminated array of C strings that live as long as the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) throws -> Result
) rethrows -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return try body(copies + [nil])
}
