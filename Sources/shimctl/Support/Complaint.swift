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

    init(_ status: Status, _ description: String) {
        self.status = status
        self.description = description
    }

    /// Runs `body`; a complaint of it goes to standard error as `shimctl COMMAND: message`, and becomes the exit
    /// status.
    static func reported(by command: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let complaint as Complaint {
            Output.warn("shimctl \(command): \(complaint.description)")
            throw ExitCode(complaint.status.rawValue)
        }
    }
}
