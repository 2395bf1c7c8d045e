import ArgumentParser

/// The options that say what is served: the same in every command that starts a program, or prints what one is to be
/// started with.
struct ShimOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Serve the files below this directory of a tmpfs (or, as DIR:pagecache, of any local file system).",
            valueName: "dir"),
        completion: .directory)
    var mount: [String] = []

    @Option(
        help: ArgumentHelp("Take the settings of this profile (shimctl profile list).", valueName: "name"),
        completion: .custom { _, _, _ in ProfileFolder.names })
    var profile: String?

    @Option(
        help: ArgumentHelp("Append one line per file to this file: served, or why not.", valueName: "file"),
        completion: .file())
    var log: String?
}

/// The program that a command starts, and its arguments, as the words behind all options.
enum ProgramWords {
    /// Checks what ArgumentParser has captured for `command`, which is everything from the first word on that is no
    /// option of ours.
    /// - Throws: what ArgumentParser says of options that it does not know, or the help that was asked for.
    static func validate(_ words: [String], of command: any ParsableCommand) throws {
        guard let first = words.first else { throw ValidationError("Missing the command to run.") }
        if first == "--" {
            guard words.count > 1 else { throw ValidationError("Missing the command to run after --.") }
        } else if first == "-h" || first == "--help" {
            // Captured like everything else that is no option of ours.
            throw CleanExit.helpRequest(command)
        } else if first == "--version" {
            throw CleanExit.message(Shimctl.configuration.version)
        } else if first.hasPrefix("-") {
            throw ValidationError("Unknown option '\(first)'. Write -- before a command that begins with a hyphen.")
        }
    }

    /// How many words of our own argument vector, at its end, are the program and its arguments.
    static func count(_ words: [String]) -> Int { words.count - (words.first == "--" ? 1 : 0) }

    /// The program's own name or path.
    static func program(_ words: [String]) -> String { words.first == "--" ? words[1] : words[0] }

    /// Program and arguments for people, on one line.
    static func text(_ words: [String]) -> String {
        (words.first == "--" ? Array(words.dropFirst()) : words).map { word in
            let isPlain = !word.isEmpty && !word.contains(where: \.isWhitespace)
            return isPlain
                ? word.printable : "'\(word.split(whereSeparator: \.isWhitespace).joined(separator: " ").printable)'"
        }.joined(separator: " ")
    }
}
