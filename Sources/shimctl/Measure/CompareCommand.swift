import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl compare`: a program natively and under the shim, as hyperfine(1) compares commands.
struct CompareCommand: ParsableCommand, ProgramStarter {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Run a program natively and under the shim by turns, and compare times, output and exit status.",
        usage: "shimctl compare [<options>] -- <command> [<argument> ...]",
        discussion: """
            A pair is one run of each, in an order drawn at random. The ratio is the median of the pairs' ratios, with \
            the interval in which it lies with 95 % probability (bootstrap). Standard output is compared, and kept \
            from the terminal; --show-output lets it through, and compares none. A program that leaves something \
            behind needs --prepare: a command for the shell before each run.

            EXAMPLES
              shimctl compare --mount /dev/shm/d -- sqlite3 /dev/shm/d/a.db "select count(*) from t"
              shimctl compare -n 20 -p "cp base.db /dev/shm/d/a.db" --mount /dev/shm/d -- ./load /dev/shm/d/a.db
              shimctl compare --export-markdown /tmp/result.md --mount . -- ./load

            EXIT STATUS
              0; 1 if output or exit status differ between native and shim, or a run or --prepare failed; else as run
            """)

    @OptionGroup var options: ShimOptions

    @Option(
        name: [.customShort("n", allowingJoined: true), .customLong("pairs")], parsing: .unconditional,
        help: ArgumentHelp("Pairs of runs.", valueName: "n"))
    var pairs = 10

    @Option(
        name: [.customShort("w", allowingJoined: true), .customLong("warmup")], parsing: .unconditional,
        help: ArgumentHelp("Pairs before them that do not count.", valueName: "n"))
    var warmup = 1

    @Option(
        name: [.customShort("p", allowingJoined: true), .customLong("prepare")],
        help: ArgumentHelp("A command for sh before each run.", valueName: "command"))
    var preparation: String?

    @Flag(help: "Let the program write to the terminal; its output is not compared.")
    var showOutput = false

    @Flag(help: "Go on where the program fails.")
    var ignoreFailure = false

    @Flag(help: "Write JSON (schema pmemshim.compare/1).")
    var json = false

    @Option(help: ArgumentHelp("Write that JSON to this file as well.", valueName: "file"), completion: .file())
    var exportJson: String?

    @Option(help: ArgumentHelp("Write a table in Markdown to this file.", valueName: "file"), completion: .file())
    var exportMarkdown: String?

    @OptionGroup var program: ProgramArguments

    var programWordCount: Int { program.words.count }

    func validate() throws {
        guard (2...10_000).contains(pairs) else { throw ValidationError("--pairs \(pairs): between 2 and 10000.") }
        guard (0...10_000).contains(warmup) else { throw ValidationError("--warmup \(warmup): between 0 and 10000.") }
        try program.words.validate(of: self)
    }

    func run() throws {
        var isSame = true
        try Complaint.reported(by: "compare") {
            let setup = try ShimSetup(options, program: program.words.program)
            setup.warnWhereNothingIsServed(by: "compare")
            let exports = try [exportJson, exportMarkdown].map { try $0.map(Output.file) }
            let comparison = try Comparison(self, setup).carryOut()
            if json { try Output.json(comparison.document) } else { try Output.line(comparison.text) }
            let texts = [exportJson == nil ? "" : try Output.jsonText(comparison.document), comparison.markdown]
            for (index, path) in [exportJson, exportMarkdown].enumerated() {
                if let path, let file = exports[index] { try Output.line(texts[index], to: file, named: path) }
            }
            isSame = comparison.isSame
        }
        if !isSame { throw ExitCode(1) }
    }
}
