import ArgumentParser
import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// A process of ours that runs a program, and is the parent of all that the program leaves without one
/// (PR_SET_CHILD_SUBREAPER): their times are the program's own. It ends with the program. What is left then goes to
/// init, as it would without us, so that nothing of it is counted in the next run.
struct Supervisor {
    /// The program and its arguments, at the end of our own argument vector.
    let words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    /// What its environment has that ours has not; nothing means: unset.
    let changes: [(name: String, value: String?)]
    /// Takes the place of standard output.
    let output: FileDescriptor?
    /// /dev/null takes the place of standard input.
    let readsNothing: Bool
    /// Held back before it begins; the program has the mask of before.
    let signals: HeldSignals

    /// What it says at its end: one of these.
    private struct Report: Codable {
        var ending: ChildProcess.Ending?
        /// The signal that came before the program could be started.
        var signal: Int32?
        /// Of a complaint.
        var status: Int32?
        var text: String?
    }

    /// The process, seen by its parent.
    final class Running {
        let pid: pid_t
        private let reader: FileDescriptor

        fileprivate init(pid: pid_t, reader: FileDescriptor) {
            self.pid = pid
            self.reader = reader
        }

        /// - Returns: whether it has ended; it is waited for only once.
        func hasEnded() -> Bool {
            var status: Int32 = 0
            let found = waitpid(pid, &status, WNOHANG)
            return found == pid || (found < 0 && errno != EINTR)
        }

        /// What it has said of the program, once it has ended.
        /// - Throws: a `Complaint` where the program could not be started; what `interruption` gives.
        func ending() throws -> ChildProcess.Ending {
            var bytes = [UInt8](repeating: 0, count: Supervisor.mostBytes)
            let count = (try? bytes.withUnsafeMutableBytes { try reader.read(into: $0) }) ?? 0
            let report = try? JSONDecoder().decode(Report.self, from: Data(bytes.prefix(count)))
            if let signal = report?.signal { throw Supervisor.interruption(signal) }
            if let status = report?.status.flatMap(Complaint.Status.init), let text = report?.text {
                throw Complaint(status, text)
            }
            guard let ending = report?.ending else {
                throw Complaint(.failure, "the process that watches the program was killed")
            }
            return ending
        }

        func close() { try? reader.close() }
    }

    /// A report is written at once, by a pipe that holds it.
    private static let mostBytes = 32 << 10

    /// The end of a command whose program was never started.
    static func interruption(_ signal: Int32) -> ExitCode {
        HeldSignals.interruption(signal, before: "the program was started")
    }

    func start() throws -> Running {
        let (reader, writer) = try FileDescriptor.pipe()
        defer { try? writer.close() }
        for end in [reader, writer] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
        // There is one thread only: what it holds is in the child as it is here.
        let pid = ps_fork()
        guard pid >= 0 else {
            let reason = Errno(rawValue: errno)
            try? reader.close()
            throw Complaint(.failure, "no process can be made: \(reason)")
        }
        if pid == 0 { watch(reportingTo: writer) }
        return Running(pid: pid, reader: reader)
    }

    /// What the process does.
    private func watch(reportingTo writer: FileDescriptor) -> Never {
        var report = Report()
        do {
            report = try carryOut()
        } catch {
            let complaint = error as? Complaint ?? Complaint(.failure, "\(error)")
            report.status = complaint.status.rawValue
            report.text = String(complaint.description.prefix(4_000))
        }
        // Where nobody reads any more there is nobody to tell.
        if let bytes = try? JSONEncoder().encode(report) { _ = try? writer.writeAll(bytes) }
        _exit(0)
    }

    private func carryOut() throws -> Report {
        var signals = signals
        if let arrival = signals.arrived() { return Report(signal: arrival.number) }
        // Where the kernel refuses, the times of daemons are missing.
        _ = ps_adopt_orphans()
        var sum = Usage()
        var isInterrupted = false
        let begin = ContinuousClock.now
        let child = try spawn()
        // A signal of the terminal's that came before there was a child has not reached it. One that has comes twice,
        // while the program has hardly begun.
        while let arrival = signals.arrived() {
            isInterrupted = isInterrupted || arrival.isTerminals
            _ = kill(child, arrival.number)
        }
        while true {
            if let status = try sum.reap(waitingFor: child) {
                return Report(ending: sum.ending(status, since: begin, isInterrupted: isInterrupted))
            }
            guard let arrival = signals.next(), arrival.number != SIGCHLD else { continue }
            // The terminal sends its signals to the program as well; others are sent to us alone.
            if arrival.isTerminals { isInterrupted = true } else { _ = kill(child, arrival.number) }
        }
    }

    private func spawn() throws -> pid_t {
        guard let name = words[0] else { throw Complaint(.failure, "the argument vector is not as parsed") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let output { posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO) }
        if readsNothing { posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        withUnsafePointer(to: signals.before) { _ = posix_spawnattr_setsigmask(&attributes, $0) }
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var environment = changedEnvironment()
        defer { for variable in environment { free(variable) } }
        var child = pid_t()
        var reason = posix_spawnp(&child, name, &actions, &attributes, words, &environment)
        if reason == ENOEXEC, let path = ProgramSearch.path(of: FilePath(platformString: name)) {
            // A script without a first line that says by what, as execvp(3) has it.
            var script: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), path.withPlatformString { strdup($0) }]
            defer { for word in script.prefix(2) { free(word) } }
            var next = words + 1
            while let word = next.pointee {
                script.append(word)
                next += 1
            }
            script.append(nil)
            reason = posix_spawn(&child, "/bin/sh", &actions, &attributes, &script, &environment)
        }
        guard reason == 0 else {
            let program = String(cString: name)
            let isMissing = reason == ENOENT && ProgramSearch.path(of: FilePath(platformString: name)) == nil
            throw Complaint(
                reason == ENOENT ? .notFound : .notExecutable,
                isMissing
                    ? "\(program.printable): command not found" : "\(program.printable): \(Errno(rawValue: reason))")
        }
        return child
    }

    /// Our environment byte for byte, but for the changes; NULL-terminated, to be freed.
    private func changedEnvironment() -> [UnsafeMutablePointer<CChar>?] {
        var result: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            next += 1
            let isChanged = changes.contains { name, _ in
                strncmp(variable, name + "=", name.utf8.count + 1) == 0
            }
            if !isChanged { result.append(strdup(variable)) }
        }
        for case (let name, let value?) in changes { result.append(strdup("\(name)=\(value)")) }
        return result + [nil]
    }
}

/// What processes that have ended took.
private struct Usage {
    private var user: UInt64 = 0
    private var system: UInt64 = 0
    private var peakMemory: UInt64 = 0

    /// Takes in all children that have ended.
    /// - Returns: the status of `child`, if it is among them.
    mutating func reap(waitingFor child: pid_t) throws -> Int32? {
        var result: Int32?
        while true {
            var status: Int32 = 0
            var usage = rusage()
            let found = wait4(-1, &status, WNOHANG, &usage)
            guard found > 0 else {
                if found < 0, errno == EINTR { continue }
                if found < 0, result == nil { throw Complaint(.failure, "wait4: \(Errno(rawValue: errno))") }
                return result
            }
            user &+= Self.nanoseconds(usage.ru_utime)
            system &+= Self.nanoseconds(usage.ru_stime)
            peakMemory = max(peakMemory, UInt64(max(usage.ru_maxrss, 0)) * 1_024)
            if found == child { result = status }
        }
    }

    func ending(
        _ status: Int32, since begin: ContinuousClock.Instant, isInterrupted: Bool
    ) -> ChildProcess.Ending {
        ChildProcess.Ending(
            status: status, wall: UInt64(max((.now - begin) / .nanoseconds(1), 0)), user: user, system: system,
            peakMemory: peakMemory > Self.own ? peakMemory : 0, isInterrupted: isInterrupted)
    }

    /// The most memory that this program has had, bytes.
    private static var own: UInt64 {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return UInt64(max(usage.ru_maxrss, 0)) * 1_024
    }

    private static func nanoseconds(_ time: timeval) -> UInt64 {
        UInt64(max(time.tv_sec, 0)) * 1_000_000_000 + UInt64(max(time.tv_usec, 0)) * 1_000
    }
}
