import ArgumentParser
import CShimSys

/// `shimctl profile`: what is known of programs, and how a service gets it.
struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "List and show profiles of programs; apply one to a service, and take it back.",
        discussion: """
            A profile is a file that says how a program is best run under the shim: settings of the shim, what the \
            program itself should be set to and why, and what will not be served. The administrator's own are in \
            /etc/pmemshim, those of the package in share/pmemshim/profiles; the format is in pmemshim-profile(5).

            EXAMPLES
              shimctl profile list
              shimctl profile show postgresql
              shimctl run --profile sqlite --mount /mnt/pmem -- ./app
              sudo shimctl profile apply 15/main
              sudo shimctl profile apply mariadb --mount /mnt/pmem/mysql
              sudo shimctl profile revert mariadb
            """,
        subcommands: [ProfileList.self, ProfileShow.self, ProfileApply.self, ProfileRevert.self])
}

struct ProfileList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the profiles.",
        discussion: """
            EXIT STATUS
              0; 1 if a profile is wrong, which a message names (the others are listed all the same)
            """)

    @Flag(help: "Write JSON (schema pmemshim.profiles/1).")
    var json = false

    func run() throws {
        var isWrong = false
        try Complaint.reported(by: "profile list") {
            let profiles = ProfileFolder.names.compactMap { name -> Profile? in
                do {
                    return try ProfileFolder.profile(named: name)
                } catch {
                    Output.warn("shimctl profile list: \(error)")
                    isWrong = true
                    return nil
                }
            }
            if json { return try Output.json(ProfileDocument.List(profiles: profiles.map(ProfileDocument.init))) }
            guard !profiles.isEmpty else {
                let places = ProfileFolder.directories.map(\.string.printable).joined(separator: ", ")
                return try Output.line("There are no profiles in \(places).")
            }
            var table = Table(.text("Profile"), .text("For"), .text("File", spare: 1))
            for profile in profiles {
                table.add(profile.name.printable, profile.description.printable, profile.path.printable)
            }
            try Output.line(table.text(width: Terminal.width))
        }
        if isWrong { throw ExitCode(1) }
    }
}

struct ProfileShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what a profile says.",
        discussion: """
            EXIT STATUS
              0; 64 if there is no such profile or it is wrong
            """)

    @Argument(
        help: ArgumentHelp("Name of the profile.", valueName: "name"),
        completion: .custom { _, _, _ in ProfileFolder.names })
    var name: String

    @Flag(help: "Write JSON (schema pmemshim.profile/1).")
    var json = false

    func run() throws {
        try Complaint.reported(by: "profile show") {
            let profile = try ProfileFolder.profile(named: name)
            if json { return try Output.json(ProfileDocument(profile)) }
            try Output.line(profile.text(width: Terminal.width))
        }
    }
}

extension Profile {
    /// For people, in lines of at most `width` columns.
    func text(width: Int) -> String {
        var lines = ["\(name.printable): \(description.printable)", "  \(path.printable)"]
        if !services.isEmpty { lines.append("  for the services \(services.joined(separator: ", ").printable)") }
        if !environment.isEmpty {
            lines += ["", "Settings of the library"]
            for setting in ps_setting.all {
                if let value = environment[setting] { lines.append("  \(setting.variable)=\(value.printable)") }
            }
        }
        if environment.isEmpty { lines += ["", "Settings of the library: none, its defaults are right"] }
        if !advice.isEmpty {
            lines += ["", "What the program should be set to"]
            for item in advice {
                lines += ["  \(item.setting.printable)"] + Wrapped.lines(item.reason.printable, 6, width)
            }
        }
        if !notServed.isEmpty {
            lines += ["", "What will not be served"]
            for item in notServed { lines += Wrapped.lines(item.printable, 2, width) }
        }
        return lines.joined(separator: "\n")
    }
}

/// `profile show --json`, and the elements of `profile list --json`.
struct ProfileDocument: Encodable {
    struct List: Encodable {
        let schema = "pmemshim.profiles/1"
        let profiles: [ProfileDocument]
    }

    let schema = "pmemshim.profile/1"
    let name: String
    let path: String
    let description: String
    let services: [String]
    @Explicit var dataDirectory: String?
    let environment: [String: String]
    let program: [Profile.Advice]
    let notServed: [String]

    init(_ profile: Profile) {
        name = profile.name
        path = profile.path
        description = profile.description
        services = profile.services
        dataDirectory = profile.dataDirectory
        environment = Dictionary(uniqueKeysWithValues: profile.environment.map { ($0.key.variable, $0.value) })
        program = profile.advice
        notServed = profile.notServed
    }
}
