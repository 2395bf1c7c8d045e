import ArgumentParser
import SystemPackage

/// What shimctl tells its user when it cannot do what was asked: one message, one exit status.
struct Complaint: Error, CustomStringConvertible {
    /// Exit statuses of shimctl itself, after sysexits.h where it has a word for it.
    enum Status: Int32 {
        /// Something read turned out to be wrong (a statistics file that is no statistics file).
        case failure = 1
        /// `check` could not judge the program.
        case undecided = 2
        /// EX_USAGE: an option, an argument or a `PMEMSHIM_*` variable has a bad value.
        case usage = 64
        /// EX_UNAVAILABLE: libpmemshim.so was not found.
        case unavailable = 69
        /// The program was found, but the kernel refused to execute it (as env(1) and the shells have it).
        case notExecutable = 126
        /// There is no such program.
        case notFound = 127
    }

    let status: Status
    let description: String
    /// Somebody else has what is needed, and may soon be done with it.
    let isTemporary: Bool

    init(_ status: Status, _ description: String, isTemporary: Bool = false) {
        self.status = status
        self.description = description
        self.isTemporary = isTemporary
    }

    /// Runs `body` again and again while it fails for what is temporary.
    /// - Parameters:
    ///   - seconds: for so long at most.
    ///   - body: what is tried.
    ///   - isStopped: asked before each further try.
    static func awaited<Value>(
        seconds: Double = 10, _ body: () throws -> Value, unless isStopped: () -> Bool = { false }
    ) throws -> Value {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            do {
                return try body()
            } catch let complaint as Complaint where complaint.isTemporary && .now < end && !isStopped() {
                Pause.take(seconds: 0.05)
            }
        }
    }

    /// Runs `body`; a complaint of it goes to standard error as `shimctl COMMAND: message`, and becomes the exit
    /// status. Where JSON was asked for, standard output gets it as JSON besides.
    static func reported(by command: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let complaint as Complaint {
            Output.warn("shimctl \(command): \(complaint.description)")
            writeJSON(complaint.description, by: command, status: complaint.status.rawValue)
            throw ExitCode(complaint.status.rawValue)
        }
    }

    private struct Document: Encodable {
        let schema = "pmemshim.error/1"
        let command: String
        let error: String
        let exitStatus: Int32
    }

    /// The schema pmemshim.error/1 on one line, if our own options ask for JSON. There is nobody to tell if that fails.
    static func writeJSON(_ message: String, by command: String, status: Int32) {
        let options = CommandLine.arguments.prefix { $0 != "--" }
        // Behind a verb that has no such option they are a program's own.
        let verb = options.dropFirst().first
        guard verb != "run", verb != "env", options.contains("--json") || options.contains("-j") else { return }
        try? Output.json(Document(command: command, error: message, exitStatus: status), compact: true)
    }
}
