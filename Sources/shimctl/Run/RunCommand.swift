import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl run`: a program under the shim.
struct RunCommand: ParsableCommand, ProgramStarter {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a program with the shim preloaded.",
        usage: "shimctl run [<options>] -- <command> [<argument> ...]",
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
              shimctl run --profile sqlite --mount /mnt/pmem -- ./app
              PMEMSHIM_MAP_AFTER=0 shimctl run --mount . -- ./app

            EXIT STATUS
              the program's own; 64 for a bad option or PMEMSHIM_* value, 69 if libpmemshim.so is not found, 126 if \
            the program cannot be executed, 127 if there is none
            """)

    @OptionGroup var options: ShimOptions

    @OptionGroup var program: ProgramArguments

    var programWordCount: Int { program.words.count }

    func validate() throws { try program.words.validate(of: self) }

    func run() throws {
        try Complaint.reported(by: "run") {
            let setup = try ShimSetup(options, program: program.words.program)
            try setup.apply()
            setup.warnWhereNothingIsServed(by: "run")
            try execute(program.words.count)
        }
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
            reason == .noSuchFileOrDirectory && ProgramSearch.path(of: FilePath(platformString: name)) == nil
                ? "\(program): command not found" : "\(program): \(reason)")
    }
}
