import FoundationEssentials
import SystemPackage

/// A service of the system that a profile is applied to.
enum Service: Equatable {
    /// A unit of systemd, without its suffix `.service`.
    case unit(String)
    /// One of Debian's PostgreSQL clusters, which pg_ctlcluster(1) starts.
    case cluster(version: String, name: String)

    /// `mariadb`, `redis-server.service`, `15/main`; `postgresql@15-main`, which is the unit of a cluster, means that
    /// cluster: pg_ctlcluster starts it with an environment of its own.
    /// - Throws: a `Complaint` where it is none of these.
    init(_ name: String) throws {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2, Self.isPlain(parts[0]), Self.isPlain(parts[1]) {
            self = .cluster(version: parts[0], name: parts[1])
            return
        }
        let unit = name.hasSuffix(".service") ? String(name.dropLast(8)) : name
        guard Self.isPlain(unit), !unit.hasSuffix("@") else {
            throw Complaint(
                .usage,
                "\"\(name.printable)\" is neither a unit of systemd (mariadb, redis-server.service)"
                    + " nor a PostgreSQL cluster (15/main)")
        }
        if unit.hasPrefix("postgresql@"), let dash = unit.firstIndex(of: "-") {
            let version = String(unit[..<dash].dropFirst("postgresql@".count))
            let cluster = String(unit[unit.index(after: dash)...])
            if !version.isEmpty, !cluster.isEmpty {
                self = .cluster(version: version, name: cluster)
                return
            }
        }
        self = .unit(unit)
    }

    /// As the user may write it.
    var name: String {
        switch self {
        case .unit(let name): name
        case .cluster(let version, let name): "\(version)/\(name)"
        }
    }

    /// The option of doctor that means it.
    var option: String {
        switch self {
        case .unit: "--unit \(name)"
        case .cluster: "--cluster \(name)"
        }
    }

    /// By what profiles know it.
    var profileName: String {
        switch self {
        case .unit(let name): name
        case .cluster(let version, let name): "postgresql@\(version)-\(name)"
        }
    }

    /// What makes a change take effect.
    var restart: String {
        switch self {
        case .unit(let name): "systemctl daemon-reload && systemctl restart \(name)"
        case .cluster(let version, let name): "pg_ctlcluster \(version) \(name) restart"
        }
    }

    /// A name that can be part of a path: no slash, nothing hidden, nothing that a terminal or shell would take amiss.
    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && !name.hasPrefix(".") && !name.hasPrefix("-")
            && name.utf8.allSatisfy { byte in
                let character = Character(UnicodeScalar(byte))
                return character.isASCII
                    && (character.isLetter || character.isNumber || "_.@:-\\".contains(character))
            }
    }
}

extension Service {
    /// The only file that `apply` writes, and `revert` takes back.
    /// - Throws: a `Complaint` where there is no such service.
    func file() throws -> any ServiceFile {
        switch self {
        case .unit(let name):
            if name == "postgresql", !Self.clusters.isEmpty {
                throw Complaint(
                    .usage,
                    "postgresql.service starts no server itself: name a cluster"
                        + " (here: \(Self.clusters.joined(separator: ", ")))"
                )
            }
            guard Self.unitFile(of: name) != nil else {
                let places = Self.unitDirectories.joined(separator: ", ")
                throw Complaint(.failure, "there is no unit \(name).service in \(places)")
            }
            return DropIn(unit: name)
        case .cluster(let version, let name):
            let directory = Self.clusterDirectory(version, name)
            guard (try? Stat(directory).type) == .directory else {
                throw Complaint(
                    .failure,
                    "there is no cluster \(version)/\(name)"
                        + (Self.clusters.isEmpty
                            ? ", nor any other" : " (here: \(Self.clusters.joined(separator: ", ")))"))
            }
            return ClusterEnvironment(directory: directory)
        }
    }

    /// Units of services on this machine, without suffix.
    static var units: [String] {
        var names: Set<String> = []
        for directory in unitDirectories {
            for file in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
            where file.hasSuffix(".service") { names.insert(String(file.dropLast(8))) }
        }
        return names.sorted()
    }

    /// Debian's clusters on this machine: `15/main`.
    static var clusters: [String] {
        func names(_ path: String) -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
        }
        return names("/etc/postgresql").flatMap { version in
            names("/etc/postgresql/\(version)").map { "\(version)/\($0.printable)" }
        }
    }

    /// Files of a unit, other than ours, that set LD_PRELOAD: ours, which systemd reads last, would take its place.
    var otherPreloads: [String] {
        guard case .unit(let name) = self, let unit = Self.unitFile(of: name) else { return [] }
        let own = DropIn(unit: name).file.path.string
        let dropIns = Self.unitDirectories.flatMap { directory -> [String] in
            let folder = "\(directory)/\(name).service.d"
            let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return files.filter { $0.hasSuffix(".conf") }.sorted().map { "\(folder)/\($0)" }
        }
        return ([unit.string] + dropIns).filter { path in
            path != own
                && (ProcFile.text(path) ?? "").lines.contains { line in
                    line.trimmed.hasPrefix("Environment") && line.contains("LD_PRELOAD=")
                }
        }
    }

    /// The directories with the data of a cluster: its own, and where its WAL and tablespaces are if elsewhere.
    func clusterData() throws -> [FilePath] {
        guard case .cluster(let version, let name) = self else { return [] }
        let path = Self.clusterDirectory(version, name).appending("postgresql.conf")
        let text = try SystemFile(path: path).text() ?? ""
        guard let data = Self.dataDirectory(in: text) else {
            throw Complaint(.failure, "\(path.string.printable) says no data_directory: name it with --mount")
        }
        let directory = FilePath(data)
        var found = [directory]
        let links =
            [directory.appending("pg_wal")]
            + ((try? FileManager.default.contentsOfDirectory(atPath: directory.appending("pg_tblspc").string)) ?? [])
            .sorted().map { directory.appending("pg_tblspc").appending($0) }
        for link in links {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link.string) else { continue }
            found.append(link.removingLastComponent().pushing(FilePath(target)))
        }
        return found
    }

    /// `data_directory = '/var/lib/postgresql/15/main'`, with or without what PostgreSQL lets one leave out.
    private static func dataDirectory(in configuration: String) -> String? {
        // The last one counts, as it does for PostgreSQL.
        var found: String?
        for line in configuration.lines {
            let text = String(line).trimmed
            guard text.hasPrefix("data_directory"), let first = text.firstIndex(of: "'") else { continue }
            let rest = text[text.index(after: first)...]
            guard let last = rest.firstIndex(of: "'"), rest.first == "/" else { continue }
            found = String(rest[..<last])
        }
        return found
    }

    private static let unitDirectories = [
        "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]

    /// The file of a unit, or of the template it is an instance of.
    private static func unitFile(of name: String) -> FilePath? {
        let template = name.firstIndex(of: "@").map { String(name[...$0]) }
        for directory in unitDirectories {
            for file in [name, template].compactMap({ $0 }) {
                let path = FilePath(directory).appending("\(file).service")
                if (try? Stat(path)) != nil { return path }
            }
        }
        return nil
    }

    private static func clusterDirectory(_ version: String, _ name: String) -> FilePath {
        FilePath("/etc/postgresql/\(version)/\(name)")
    }
}
