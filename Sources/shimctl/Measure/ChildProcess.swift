import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// A program that is run to its end in our place: at our terminal, with our files, and with the signals that are meant
/// for it.
enum ChildProcess {
    struct Ending {
        /// As waitpid(2) has it.
        let status: Int32
        /// Elapsed time, ns.
        let wall: UInt64
        /// CPU time in user and kernel mode of the program and of all that it has started and that has ended, daemons
        /// included, ns.
        let user: UInt64
        let system: UInt64
        /// The most memory that one of them had, bytes; 0 where it was less than ours, which the kernel takes over for
        /// a process that is made by vfork.
        let peakMemory: UInt64
        /// Somebody has pressed the key that interrupts: more runs are not wanted.
        let isInterrupted: Bool

        var cpu: UInt64 { user &+ system }

        /// As a shell has it: 128 and the signal's number for a program that was killed.
        var exitStatus: Int32 { status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f) }
        var isSuccess: Bool { status == 0 }
    }

    /// Runs the program that the last `count` words of our own argument vector name; they are handed on as they are.
    /// - Parameters:
    ///   - changes: what its environment has that ours has not; nothing means: unset.
    ///   - output: takes the place of standard output.
    ///   - readsNothing: /dev/null takes the place of standard input.
    ///   - interval: seconds after which `tick` is called, again and again.
    /// - Throws: a `Complaint` where it cannot be started, with the status that env(1) gives then.
    static func run(
        last count: Int, changes: [(name: String, value: String?)], output: FileDescriptor? = nil,
        readsNothing: Bool = false, interval: Double? = nil, tick: () throws -> Void = {}
    ) throws -> Ending {
        let words = CommandLine.unsafeArgv + (Int(CommandLine.argc) - count)
        guard count > 0, let name = words[0] else { throw Complaint(.failure, "the argument vector is not as parsed") }
        var awaited = sigset_t()
        var before = sigset_t()
        sigemptyset(&awaited)
        for signal in [SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP] { sigaddset(&awaited, signal) }
        sigprocmask(SIG_BLOCK, &awaited, &before)
        defer { sigprocmask(SIG_SETMASK, &before, nil) }

        // Ignored, as somebody may have left it to us, children would be gone before they are waited for. Where nobody
        // reads any more, writing must fail, not end us; the program has that signal as we had it.
        let hadPipe = signal(SIGPIPE, SIG_IGN)
        defer { signal(SIGPIPE, hadPipe) }
        signal(SIGCHLD, SIG_DFL)
        // Where the kernel refuses, the times of daemons are missing.
        _ = ps_adopt_orphans()
        var sum = Usage()
        let begin = ContinuousClock.now
        let child = try spawn(words, name: name, changes, output, readsNothing, mask: &before)
        let next = interval.map { Duration.seconds($0) }
        var due = next.map { begin + $0 }
        var failure: (any Error)?
        while true {
            if let status = try sum.reap(waitingFor: child) {
                // The program has done its work; only then is told what failed beside it.
                if let failure { throw failure }
                return sum.ending(status, since: begin)
            }
            let (signal, isTerminals) = awaitSignal(&awaited, until: due)
            // The terminal sends its signals to the program as well; others are sent to us alone.
            if signal > 0, signal != SIGCHLD {
                if isTerminals { sum.isInterrupted = true } else { _ = kill(child, signal) }
            }
            if let step = next, let moment = due, ContinuousClock.now >= moment {
                do { try tick() } catch { failure = error }
                // Ticks that were missed are left out; after a failure there are none.
                due = failure == nil ? max(moment + step, .now) : nil
            }
        }
    }

    /// Waits for one of the signals, which are blocked.
    /// - Returns: its number, 0 or less where the time was over; and whether the terminal has sent it.
    private static func awaitSignal(
        _ signals: inout sigset_t, until due: ContinuousClock.Instant?
    ) -> (signal: Int32, isTerminals: Bool) {
        var info = siginfo_t()
        let signal: Int32
        if let due {
            let left = max((due - .now) / .nanoseconds(1), 0)
            var time = timespec(tv_sec: Int(left / 1e9), tv_nsec: Int(left.truncatingRemainder(dividingBy: 1e9)))
            signal = sigtimedwait(&signals, &info, &time)
        } else {
            signal = sigwaitinfo(&signals, &info)
        }
        // SI_KERNEL: nobody's kill.
        return (signal, info.si_code == 0x80)
    }

    private static func spawn(
        _ words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, name: UnsafeMutablePointer<CChar>,
        _ changes: [(name: String, value: String?)], _ output: FileDescriptor?, _ readsNothing: Bool,
        mask: inout sigset_t
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let output { posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO) }
        if readsNothing { posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setsigmask(&attributes, &mask)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var environment = Self.environment(with: changes)
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
    private static func environment(
        with changes: [(name: String, value: String?)]
    ) -> [UnsafeMutablePointer<CChar>?] {
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
    var isInterrupted = false

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

    func ending(_ status: Int32, since begin: ContinuousClock.Instant) -> ChildProcess.Ending {
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
