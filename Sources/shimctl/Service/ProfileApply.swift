import ArgumentParser
import FoundationEssentials
import Glibc
import SystemPackage

/// What `apply` and `revert` have in common.
struct ServiceOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A unit of systemd (mariadb, redis-server.service), or a PostgreSQL cluster of Debian's (15/main).",
            valueName: "service"), completion: .custom { _, _, _ in Service.clusters + Service.units })
    var service: String

    @Flag(help: "Write without asking.")
    var yes = false

    @Flag(help: "Only show what would be written.")
    var dryRun = false

    /// Shows what becomes of the file, asks, and does it.
    /// - Parameter content: what the file is to hold; nothing: it is removed.
    func carryOut(_ file: SystemFile, from current: String?, to content: String?) throws {
        let path = file.path.string.printable
        if current == content { return try Output.line("\(path) says so already: nothing to do.") }
        try Output.line("\(content == nil ? "Remove" : current == nil ? "Make" : "Change") \(path):")
        for line in LineDifference.lines(from: current ?? "", to: content ?? "") { try Output.line("  \(line)") }
        if dryRun { return try Output.line("Nothing was written (--dry-run).") }
        guard try yes || isAgreed() else {
            throw Complaint(.failure, "nothing was written: no terminal to ask on; --yes writes without asking")
        }
        if let content { try file.replace(with: content) } else { try file.remove() }
    }

    /// - Throws: a `Complaint` where the answer is no.
    private func isAgreed() throws -> Bool {
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return false }
        Output.error("Do that? [y/N] ")
        guard let answer = readLine(), ["y", "yes"].contains(answer.trimmed.lowercased()) else {
            throw Complaint(.failure, "nothing was written")
        }
        return true
    }
}

struct ProfileApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Have a service started under the shim.",
        discussion: """
            Writes one file, which is shown before: the drop-in /etc/systemd/system/UNIT.service.d/pmemshim.conf, or, \
            for a PostgreSQL cluster of Debian's, some lines in /etc/postgresql/VERSION/CLUSTER/environment. Nothing \
            else is changed, and the service is not restarted: the command that does it is said.

            Without --profile the one that names the service is taken. Without --mount the service's data directory \
            is: that of the cluster's configuration (with its WAL and tablespaces), or the profile's. It has to lie \
            on tmpfs or DAX; any other local file system is served where it is named as DIR:pagecache.

            EXIT STATUS
              0; 1 if there is no such service, or the file cannot be or was not to be written; 64 for a bad option \
            or setting; 69 if libpmemshim.so is not found
            """)

    @OptionGroup var target: ServiceOptions
    @OptionGroup var options: ShimOptions

    func run() throws {
        try Complaint.reported(by: "profile apply") {
            let service = try Service(target.service)
            let place = try service.file()
            if let other = service.otherPreloads.first {
                throw Complaint(
                    .failure,
                    "\(other.printable) sets LD_PRELOAD, which would be replaced: take it out there first, or paste"
                        + " what \"LD_PRELOAD=... shimctl env --format systemd\" prints, which keeps it")
            }
            let profile = try chosenProfile(for: service)
            var options = options
            options.profile = profile?.name
            if options.mount.isEmpty { options.mount = try mounts(of: service, profile) }
            let setup = try ShimSetup(options, program: nil, inherited: [:])
            guard !setup.environment.servesNothing else {
                throw Complaint(
                    .failure,
                    "nothing would be served: name the service's data directory with --mount (on tmpfs or DAX, or as"
                        + " DIR:pagecache)")
            }
            let current = try place.file.text()
            let content = try place.applied(setup.allVariables, of: service, to: current)
            try target.carryOut(place.file, from: current, to: content)
            if target.dryRun { return }
            try Output.line("It takes effect with: \(service.restart)")
            try Output.line("Then, once it has worked: sudo shimctl doctor \(service.option)")
            if let profile, !profile.advice.isEmpty {
                let settings = profile.advice.map(\.setting).joined(separator: ", ")
                let text =
                    "The program itself is best set so (shimctl profile show \(profile.name) says why): \(settings)"
                for line in Wrapped.lines(text.printable, 0, Terminal.width) { try Output.line(line) }
            }
        }
    }

    private func chosenProfile(for service: Service) throws -> Profile? {
        if let name = options.profile { return try ProfileFolder.profile(named: name) }
        let fitting = try ProfileFolder.names.map { try ProfileFolder.profile(named: $0) }
            .filter { $0.isFor(service: service.profileName) }
        guard fitting.count < 2 else {
            let names = fitting.map(\.name.printable).joined(separator: ", ")
            throw Complaint(.usage, "\(service.name) is a service of the profiles \(names): choose one with --profile")
        }
        return fitting.first
    }

    private func mounts(of service: Service, _ profile: Profile?) throws -> [String] {
        let cluster = try service.clusterData()
        return cluster.isEmpty ? [profile?.dataDirectory].compactMap { $0 } : cluster.map(\.string)
    }
}

struct ProfileRevert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revert", abstract: "Take back what apply has done to a service.",
        discussion: """
            Removes the drop-in, or the lines in the cluster's environment, and nothing that somebody else has \
            written. Programs that run keep the library until they are restarted.

            EXIT STATUS
              0; 1 if there is nothing of apply's, or it cannot be or was not to be removed; 64 for a bad option
            """)

    @OptionGroup var target: ServiceOptions

    func run() throws {
        try Complaint.reported(by: "profile revert") {
            let service = try Service(target.service)
            // A unit that has been removed since has its drop-in still.
            let place: any ServiceFile
            if case .unit(let name) = service { place = DropIn(unit: name) } else { place = try service.file() }
            guard let current = try place.file.text() else {
                throw Complaint(.failure, "nothing was applied: \(place.file.path.string.printable) does not exist")
            }
            let content = try place.reverted(current)
            try target.carryOut(place.file, from: current, to: content)
            if !target.dryRun { try Output.line("It takes effect with: \(service.restart)") }
        }
    }
}
