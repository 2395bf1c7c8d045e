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
