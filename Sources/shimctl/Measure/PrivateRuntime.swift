import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// A runtime directory for one run of a program, so that its figures are its own, and gone afterwards. In memory where
/// that can be had, like the usual one.
struct PrivateRuntime {
    let directory: FilePath

    /// - Throws: a `Complaint` where no directory can be made anywhere.
    init() throws {
        let places = ["/dev/shm", ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"], "/tmp"].compactMap { $0 }
        for place in places where place.hasPrefix("/") {
            var template = Array("\(place)/pmemshim-run.XXXXXX".utf8CString)
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

    /// What has been counted so far.
    func snapshot() throws -> StatsSnapshot { try StatsFile.snapshot(in: place) }
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
