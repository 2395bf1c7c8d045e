import ArgumentParser
import CShimSys

/// The command beside the library: starts programs under the shim, shows its figures, tells what it can serve.
@main
struct Shimctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shimctl",
        abstract: "Run programs under pmemshim, see what it does for them, and find out whether it can.",
        discussion: """
            libpmemshim.so, loaded with LD_PRELOAD, serves the file I/O of unmodified programs on a DAX or tmpfs \
            mount through memory mappings. shimctl sets it up, reads its statistics and judges programs.

            EXAMPLES
              shimctl advise --mount /dev/shm/data -- sqlite3 /dev/shm/data/a.db ".read load.sql"
              shimctl run --mount /dev/shm/data -- sqlite3 /dev/shm/data/a.db
              shimctl top
              shimctl stats
              shimctl doctor --pid 4711
            """,
        version: "shimctl \(Shimctl.versionNumber)",
        subcommands: [BenchWorkerCommand.self, MirrorWatchdogCommand.self],
        groupedSubcommands: [
            CommandGroup(name: "Run:", subcommands: [RunCommand.self, EnvCommand.self, ProfileCommand.self]),
            CommandGroup(
                name: "Judge:", subcommands: [AdviseCommand.self, CheckCommand.self, DoctorCommand.self]),
            CommandGroup(
                name: "Measure:", subcommands: [BenchCommand.self, StatCommand.self, CompareCommand.self]),
            CommandGroup(
                name: "Watch:",
                subcommands: [TopCommand.self, StatsCommand.self, RecordCommand.self, ReportCommand.self]),
            CommandGroup(
                name: "Devices:",
                subcommands: [
                    CreateCommand.self, AttachCommand.self, DetachCommand.self, ListCommand.self, InspectCommand.self,
                    MirrorCommand.self,
                ]),
        ])

    /// Semantic version of the package; the JSON schemas carry their own.
    static let versionNumber = PS_VERSION

    private static func refuseForeignBytes(for command: any ParsableCommand) throws {
        try Complaint.reported(by: type(of: command).configuration.commandName ?? "") {
            try ForeignBytes.refuse(inArgumentsBefore: (command as? any ProgramStarter)?.programWordCount ?? 0)
            try ForeignBytes.refuse(inVariables: { $0.hasPrefix("PMEMSHIM_") })
        }
    }

    /// Parses the command line and does what it says. A command line that cannot be parsed has its message as JSON,
    /// too, where JSON was asked for.
    static func main() {
        do {
            var command = try parseAsRoot()
            try refuseForeignBytes(for: command)
            try command.run()
        } catch {
            let status = exitCode(for: error).rawValue
            if status != 0, !(error is ExitCode) { Complaint.writeJSON(message(for: error), by: "", status: status) }
            exit(withError: error)
        }
    }
}
