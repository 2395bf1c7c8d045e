import ArgumentParser
import SystemPackage

/// The words behind all options of a command that starts a program.
struct ProgramArguments: ParsableArguments {
    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The program and its arguments, unchanged.", valueName: "command"),
        completion: .shellCommand("compgen -c"))
    var command: [String] = []

    var words: ProgramWords { ProgramWords(captured: command) }
}

/// A program and its arguments, as ArgumentParser captures them: everything from the first word on that is no option of
/// ours, perhaps with `--` before it.
struct ProgramWords {
    let captured: [String]

    /// - Throws: what ArgumentParser says of options that it does not know, or the help that was asked for.
    func validate(of command: any ParsableCommand) throws {
        guard let first = captured.first else { throw ValidationError("Missing the command to run.") }
        if first == "--" {
            guard captured.count > 1 else { throw ValidationError("Missing the command to run after --.") }
        } else if first == "-h" || first == "--help" {
            // Captured like everything else that is no option of ours.
            throw CleanExit.helpRequest(command)
        } else if first == "--version" {
            throw CleanExit.message(Shimctl.configuration.version)
        } else if first.hasPrefix("-") {
            throw ValidationError("Unknown option '\(first)'. Write -- before a command that begins with a hyphen.")
        }
    }

    private var words: ArraySlice<String> { captured.first == "--" ? captured.dropFirst() : captured[...] }

    /// How many words of our own argument vector, at its end, they are.
    var count: Int { words.count }

    /// The program's own name or path, byte for byte; empty before they were validated.
    var program: FilePath {
        guard count > 0, let name = CommandLine.unsafeArgv[Int(CommandLine.argc) - count] else { return FilePath() }
        return FilePath(platformString: name)
    }

    /// For people, on one line.
    var text: String {
        words.map { word in
            let isPlain = !word.isEmpty && !word.contains(where: \.isWhitespace)
            let line = word.split(whereSeparator: \.isWhitespace).joined(separator: " ").printable
            return isPlain ? line : "'\(line)'"
        }.joined(separator: " ")
    }
}
