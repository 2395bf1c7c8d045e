import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl run`: a program under the shim.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a program with the shim preloaded.",
        usage: "shimctl run [--mount <dir>[:pagecache]] ... [--log <file>] -- <command> [<argument> ...]",
        discussion: """
            Sets LD_PRELOAD (keeping what is in it) and PMEMSHIM_MOUNTS, checks every PMEMSHIM_* variable, and then \
            becomes the program: process id, signals and exit status are the program's own.

            Mounts with the dax option and those of attached devices are served without being named. A plain file \
            system is served only where asked for, as DIR:pagecache.

            The shared runtime of AddressSanitizer or ThreadSanitizer, where the program is built with one, is put \
            first in LD_PRELOAD: it has to stand before the shim.

            EXAMPLES
              shimctl run --mount /dev/shm/data -- sqlite3 /dev/shm/data/a.db
              shimctl run --mount /dev/shm/pg --log /tmp/log -- postgres -D /dev/shm/pg
              shimctl run --mount /srv/data:pagecache -- ./app --option
              PMEMSHIM_MAP_AFTER=0 shimctl run --mount . -- ./app

            EXIT STATUS
              the program's own; 64 for a bad option or PMEMSHIM_* value, 69 if libpmemshim.so is not found, 126 if \
            the program cannot be executed, 127 if there is none
            """)

    @Option(
        help: ArgumentHelp(
            "Serve the files below this directory of a tmpfs (or, as DIR:pagecache, of any local file system).",
            valueName: "dir"))
    var mount: [String] = []

    @Option(help: ArgumentHelp("Append one line per file to this file: served, or why not.", valueName: "file"))
    var log: String?

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The program and its arguments, unchanged.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        guard let first = command.first else { throw ValidationError("Missing the command to run.") }
        if first == "--" {
            guard command.count > 1 else { throw ValidationError("Missing the command to run after --.") }
        } else if first == "-h" || first == "--help" {
            // Captured like everything else that is no option of ours.
            throw CleanExit.helpRequest(self)
        } else if first == "--version" {
            throw CleanExit.message(Shimctl.configuration.version)
        } else if first.hasPrefix("-") {
            throw ValidationError("Unknown option '\(first)'. Write -- before a command that begins with a hyphen.")
        }
    }

    func run() throws {
        try Complaint.reported(by: "run") {
            let inherited = ProcessInfo.processInfo.environment
            let library = try ShimLibrary.found()
            let environment = try ShimEnvironment(inherited: inherited, mountArguments: mount, logArgument: log)
            for change in environment.changes { try Self.set(change.setting.variable, to: change.value) }
            let preload = library.added(to: inherited["LD_PRELOAD"], after: try sanitizerRuntime())
            try Self.set("LD_PRELOAD", to: preload)
            if environment.servesNothing {
                Output.warn(
                    "shimctl run: warning: no directory is served: no --mount, no PMEMSHIM_MOUNTS, no mount with"
                        + " the dax option, and none of an attached device")
            }
            try execute(command.count - (command.first == "--" ? 1 : 0))
        }
    }

    /// The library that must come first of all, if the program is built with a sanitizer.
    private func sanitizerRuntime() throws -> FilePath? {
        let program = command.first == "--" ? command[1] : command[0]
        guard let library = SanitizerRuntime.needed(by: program)?.library else { return nil }
        guard !library.string.contains(where: { $0 == ":" || $0.isWhitespace }) else {
            throw Complaint(
                .unavailable,
                "\"\(library.string.printable)\", which has to be preloaded for \(program.printable): ld.so takes"
                    + " spaces and colons in LD_PRELOAD as separators; move the library")
        }
        return library
    }

    private static func set(_ name: String, to value: String?) throws {
        let result = value.map { setenv(name, $0, 1) } ?? unsetenv(name)
        guard result == 0 else { throw Complaint(.failure, "\(name): \(Errno(rawValue: errno))") }
    }

    /// Becomes the program that the last `count` words of our own argument vector name. Those are handed on as they
    /// are: as Swift strings they would have lost bytes that are not UTF-8.
    private func execute(_ count: Int) throws {
        let words = CommandLine.unsafeArgv + (Int(CommandLine.argc) - count)
        guard count > 0, let name = words[0] else { throw Complaint(.failure, "the argument vector is not as parsed") }
        execvp(name, words)
        let reason = Errno(rawValue: errno)
        let program = String(cString: name).printable
        throw Complaint(
            reason == .noSuchFileOrDirectory ? .notFound : .notExecutable,
            reason == .noSuchFileOrDirectory && ProgramSearch.path(of: String(cString: name)) == nil
                ? "\(program): command not found" : "\(program): \(reason)")
    }
}
