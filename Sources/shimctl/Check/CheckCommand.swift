import ArgumentParser

/// `shimctl check`: can the shim serve this program?
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Tell whether the shim can serve a program, and which of its calls.",
        discussion: """
            Looks at the program's ELF file and at the libraries that are loaded with it; nothing is executed. A \
            script is judged by its interpreter. Not served are static programs (no loader reads LD_PRELOAD), \
            setuid, setgid and privileged ones (the loader ignores it), programs for other machines, and programs \
            that do all their I/O through streams inside libc. Where only its libraries read and write, or its own \
            files are read through streams, it says that little may be served.

            EXAMPLES
              shimctl check sqlite3
              shimctl check /usr/lib/postgresql/15/bin/postgres
              shimctl check --json ./app | jq -r '.imports.unknown[].name'
              shimctl check ./app && shimctl run --mount /dev/shm/data -- ./app

            EXIT STATUS
              0 if it is served, 1 if not, 2 if there is no such program or it cannot be judged, 64 for a bad option
            """)

    @Argument(
        help: ArgumentHelp("A path, or a name to be found in PATH.", valueName: "program"),
        completion: .shellCommand("compgen -c"))
    var program: String

    @Flag(help: "Write JSON (schema in docs/shimctl.md).")
    var json = false

    func run() throws {
        var isServed = false
        try Complaint.reported(by: "check") {
            let judgement = try Judgement(of: program)
            let report = CheckReport(judgement: judgement, width: Terminal.width)
            if json { try Output.json(report.document) } else { try Output.line(report.text) }
            isServed = judgement.isServed
            for problem in StatsAdvice.problems {
                Output.warn("shimctl check: warning: \(problem): shimctl run would refuse it, the shim leaves it out")
            }
        }
        if !isServed { throw ExitCode(1) }
    }
}
