import FoundationEssentials
import Glibc
import SystemPackage

/// A program that is run to its end in our place: at our terminal, with our files, and with the signals that are meant
/// for it.
enum ChildProcess {
    struct Ending: Codable {
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
        var isInterrupted: Bool

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
    ///   - held: by the caller, for several runs.
    /// - Throws: a `Complaint` where it cannot be started, with the status that env(1) gives then.
    static func run(
        last count: Int, changes: [(name: String, value: String?)], output: FileDescriptor? = nil,
        readsNothing: Bool = false, interval: Double? = nil, signals held: HeldSignals? = nil,
        tick: () throws -> Void = {}
    ) throws -> Ending {
        let words = CommandLine.unsafeArgv + (Int(CommandLine.argc) - count)
        guard count > 0, words[0] != nil else { throw Complaint(.failure, "the argument vector is not as parsed") }
        var signals = held ?? HeldSignals()
        defer { if held == nil { signals.release() } }
        // What has come before there is a program ends the command, as it would have a moment before.
        if let arrival = signals.arrived() { throw Supervisor.interruption(arrival.number) }
        // Where nobody reads any more, writing must fail, not end us; the program has that signal as we had it. With
        // SIGCHLD ignored, as somebody may have left it to us, children would be gone before they are waited for.
        let hadPipe = signal(SIGPIPE, SIG_IGN)
        defer { signal(SIGPIPE, hadPipe) }
        signal(SIGCHLD, SIG_DFL)
        let supervisor = Supervisor(
            words: words, changes: changes, output: output, readsNothing: readsNothing, signals: signals)
        let begin = ContinuousClock.now
        let running = try supervisor.start()
        defer { running.close() }
        var isInterrupted = false
        // The terminal's signals as well: those that came while there was no process yet that they could go to.
        while let arrival = signals.arrived() {
            isInterrupted = isInterrupted || arrival.isTerminals
            _ = kill(running.pid, arrival.number)
        }
        let next = interval.map { Duration.seconds($0) }
        var due = next.map { begin + $0 }
        var failure: (any Error)?
        while !running.hasEnded() {
            if let arrival = signals.next(until: due), arrival.number != SIGCHLD {
                if arrival.isTerminals { isInterrupted = true } else { _ = kill(running.pid, arrival.number) }
            }
            if let step = next, let moment = due, ContinuousClock.now >= moment {
                do { try tick() } catch { failure = error }
                // Ticks that were missed are left out; after a failure there are none.
                due = failure == nil ? max(moment + step, .now) : nil
            }
        }
        var ending = try running.ending()
        // The program has done its work; only then is told what failed beside it.
        if let failure { throw failure }
        ending.isInterrupted = ending.isInterrupted || isInterrupted
        return ending
    }
}
