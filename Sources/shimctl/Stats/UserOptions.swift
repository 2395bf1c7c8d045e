import ArgumentParser

/// Whose figures a command is about.
struct UserOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Figures of this user: a name or number (for root).", valueName: "name"),
        completion: .shellCommand("compgen -u"))
    var user: String?

    @Flag(help: "Figures of all users (for root).")
    var allUsers = false

    func validate() throws {
        if allUsers, user != nil { throw ValidationError("--all-users goes without --user.") }
    }

    /// Neither was given.
    var isOwn: Bool { user == nil && !allUsers }

    func source() throws -> StatsSource { try StatsSource(user: user, all: allUsers) }
}
