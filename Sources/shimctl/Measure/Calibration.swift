import FoundationEssentials
import Glibc
import SystemPackage

/// What calls cost on one mount of this machine, natively and served: measured by `shimctl bench`, and what estimates
/// are made from. Elapsed time of one thread, ns.
struct Calibration: Codable, Equatable {
    /// The price of calls of some sizes; between two of them on a straight line.
    struct Curve: Codable, Equatable {
        /// In order of size; at least one.
        var points: [Point]

        struct Point: Codable, Equatable {
            let bytes: Double
            let ns: Double
        }

        /// What a call of so many bytes costs; beyond the largest size at the price of its last bytes.
        func cost(bytes: Double) -> Double {
            guard var low = points.first else { return 0 }
            guard bytes > low.bytes, points.count > 1 else { return low.ns }
            var high = points[1]
            for point in points.dropFirst(2) where bytes > high.bytes { (low, high) = (high, point) }
            return max(low.ns + (bytes - low.bytes) * (high.ns - low.ns) / max(high.bytes - low.bytes, 1), 0)
        }
    }

    struct Side: Codable, Equatable {
        var read: Curve
        var write: Curve
        var append: Curve
        var sync: Double
    }

    static let schema = "pmemshim.calibration/1"

    var schema = Calibration.schema
    /// The directory that was measured, its device as `major:minor`, and its file system.
    let path: String
    let device: String
    let fileSystem: String
    let kernel: String
    /// Version of the library.
    let library: String
    let timeUnixNs: UInt64
    let native: Side
    let served: Side
    /// A window that comes and goes, and a page of 4 KiB in it.
    let window: Double
    let page: Double

    /// Numbers that can be reckoned with: what stands in a file may be anything.
    var isSound: Bool {
        let curves = [native.read, native.write, native.append, served.read, served.write, served.append]
        let numbers =
            [native.sync, served.sync, window, page] + curves.flatMap { $0.points.flatMap { [$0.bytes, $0.ns] } }
        return schema == Self.schema && curves.allSatisfy { !$0.points.isEmpty }
            && numbers.allSatisfy { $0.isFinite && (0...1e12).contains($0) }
    }
}

extension Calibration {
    /// From what `MountBench` has measured of `BenchRow.calibration`.
    init(_ measured: MountBench.Result, directory: FilePath) {
        func curve(_ operation: BenchRow.Operation, _ side: MountBench.Side) -> Curve {
            Curve(
                points: BenchRow.calibration.filter { $0.operation == operation }.compactMap { row in
                    measured.median(row, side).map { Curve.Point(bytes: Double(row.size), ns: $0) }
                })
        }
        func side(_ side: MountBench.Side) -> Side {
            Side(
                read: curve(.pread, side), write: curve(.pwrite, side), append: curve(.append, side),
                sync: measured.median(.init(.fdatasync), side) ?? 0)
        }
        func difference(_ operation: BenchRow.Operation) -> Double {
            (measured.median(.init(operation), .shim) ?? 0) - (measured.median(.init(operation), .native) ?? 0)
        }
        native = side(.native)
        served = side(.shim)
        // The call that is measured with it is served: what it saves is taken out.
        let saved = native.read.cost(bytes: 4_096) - served.read.cost(bytes: 4_096)
        page = measured.median(.init(.page), .native) ?? 0
        window = max(difference(.open) + saved - page, 0)
        path = directory.string
        device = DeviceNumber.description(of: directory) ?? ""
        fileSystem = FileSystemInfo(of: directory)?.type ?? ""
        kernel = Self.kernelRelease
        library = Shimctl.versionNumber
        timeUnixNs = StatsSnapshot.now()
    }

    /// As uname -r has it.
    static var kernelRelease: String {
        let data = ProcFile.contents("/proc/sys/kernel/osrelease") ?? Data()
        return String(decoding: data, as: UTF8.self).trimmed
    }
}

/// Calibrations are kept beside the figures, one for each device: gone with the next boot, as a kernel may be.
extension Calibration {
    private static func fileName(_ device: String) -> String {
        "calibration-\(device.replacing(":", with: "-")).json"
    }

    /// The one of the mount that `directory` is on, if it was made with this kernel and this version.
    static func kept(for directory: FilePath, in place: RuntimePlace) -> Calibration? {
        guard let device = DeviceNumber.description(of: directory),
            let file = try? place.open(fileName(device))
        else { return nil }
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.fill($0, at: 0) }),
            let found = try? JSONDecoder().decode(Calibration.self, from: Data(bytes.prefix(count))), found.isSound,
            found.kernel == kernelRelease, found.library == Shimctl.versionNumber, found.device == device
        else { return nil }
        return found
    }

    /// Those of the mounts of some figures, by path: in the first place that has one.
    static func kept(for mounts: [StatsSnapshot.Mount], in places: [RuntimePlace?]) -> [String: Calibration] {
        var result: [String: Calibration] = [:]
        for mount in mounts {
            result[mount.path] =
                places.lazy.compactMap { $0 }.compactMap { kept(for: FilePath(mount.path), in: $0) }.first
        }
        return result
    }

    /// Kept for estimates; nothing is said where it cannot be.
    func keep(in place: RuntimePlace) {
        guard mkdir(place.directory.string, 0o700) == 0 || errno == EEXIST,
            let folder = try? FileDescriptor.open(
                place.directory, .readOnly, options: [.directory, .noFollow, .closeOnExec])
        else { return }
        defer { try? folder.close() }
        guard let found = try? Stat(folder), found.rawValue.st_uid == geteuid(), found.rawValue.st_mode & 0o077 == 0,
            let data = try? JSONEncoder().encode(self)
        else { return }
        let name = Self.fileName(device)
        let draft = ".\(name).\(getpid())"
        let raw = openat(folder.rawValue, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard raw >= 0 else { return }
        let isWritten =
            (try? FileDescriptor(rawValue: raw).closeAfter { try FileDescriptor(rawValue: raw).writeAll(data) }) != nil
        if !isWritten || renameat(folder.rawValue, draft, folder.rawValue, name) != 0 {
            unlinkat(folder.rawValue, draft, 0)
        }
    }
}

extension DeviceNumber {
    /// Of the file system that `path` is on, as `major:minor`.
    static func description(of path: FilePath) -> String? {
        (try? Stat(path)).map { DeviceNumber($0.rawValue.st_dev).description }
    }
}
