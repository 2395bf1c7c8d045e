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
              shimctl run --mount /dev/shm/data -- sqlite3 /dev/shm/data/a.db
              shimctl stats
              shimctl stats --watch 1
              shimctl check postgres
            """,
        version: "shimctl \(Shimctl.versionNumber)",
        subcommands: [
            RunCommand.self, EnvCommand.self, ProfileCommand.self, StatsCommand.self, CheckCommand.self,
            CreateCommand.self, AttachCommand.self, DetachCommand.self, ListCommand.self, InspectCommand.self,
        ])

    /// Semantic version of the package; the JSON schemas carry their own.
    static let versionNumber = PS_VERSION
}
