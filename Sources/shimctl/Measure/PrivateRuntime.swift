import CShimSys
import FoundationEssentials
import Glibc
import Synchronization
import SystemPackage

/// A runtime directory for one run of a program, so that its figures are its own, and gone afterwards. In memory where
/// that can be had, like the usual one.
final class PrivateRuntime {
    let directory: FilePath
    private let hasWarned = Atomic(false)

    /// - Throws: a `Complaint` where no directory can be made anywhere.
    init() throws {
        let places = ["/dev/shm", ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], "/tmp"].compactMap { $0 }
        for place in places where place.hasPrefix("/") {
            Self.removeStale(in: place)
            var template = Array("\(place)/\(Self.prefix)\(getpid()).XXXXXX".utf8CString)
            if mkdtemp(&template) != nil {
                let path = template.dropLast().map(UInt8.init(bitPattern:))
                directory = FilePath(String(decoding: path, as: UTF8.self))
                return
            }
        }
        throw Complaint(.failure, "no directory for the figures can be made in \(places.joined(separator: ", "))")
    }

    /// What the program's environment needs besides.
    var change: (name: String, value: String?) {
        (ps_setting.runtimeDirectory.variable, directory.string)
    }

    var place: RuntimePlace { RuntimePlace(directory: directory) }

    func remove() { try? FileManager.default.removeItem(atPath: directory.string) }

    /// What has been counted so far. The program may have damaged its figures, which must not cost its result: then
    /// there are none, and a warning says so once.
    func snapshot() -> StatsSnapshot {
        do {
            return try StatsFile.snapshot(in: place)
        } catch {
            if !hasWarned.exchange(true, ordering: .relaxed) { Output.warn("shimctl: warning: no figures: \(error)") }
            return StatsSnapshot(time: StatsSnapshot.now(), processes: [], ended: [])
        }
    }

    /// Those of programs of ours that have ended without taking them away (they were killed).
    private static func removeStale(in place: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? [] where name.hasPrefix(prefix) {
            let path = "\(place)/\(name)"
            guard let pid = name.dropFirst(prefix.count).split(separator: ".").first.flatMap({ pid_t($0) }), pid > 0,
                kill(pid, 0) != 0, errno == ESRCH, let found = try? Stat(FilePath(path), followTargetSymlink: false),
                found.type == .directory, found.rawValue.st_uid == geteuid()
            else { continue }
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    private static let prefix = "pmemshim-run."
}

extension ShimSetup {
    /// What a program is started with whose figures are to be its own.
    func changes(with runtime: PrivateRuntime) -> [(name: String, value: String?)] {
        changes.filter { $0.name != runtime.change.name } + [runtime.change]
    }
}

extension StatsFile {
    /// The figures of a place; empty where there are none yet.
    static func snapshot(in place: RuntimePlace) throws -> StatsSnapshot {
        guard let file = try StatsFile.open(in: place) else {
            return StatsSnapshot(time: StatsSnapshot.now(), processes: [], ended: [])
        }
        defer { file.close() }
        return try file.snapshot()
    }
}
