import FoundationEssentials
import Glibc
import SystemPackage

/// The `PMEMSHIM_*` variables a program is started with: inherited ones and those that options of `run` set, all
/// checked here, because the shim itself never writes to anybody's standard error.
struct ShimEnvironment {
    /// Every variable there is, with what reads it.
    enum Name: String, CaseIterable {
        case mounts = "PMEMSHIM_MOUNTS"
        case log = "PMEMSHIM_LOG"
        case disable = "PMEMSHIM_DISABLE"
        case mapAfter = "PMEMSHIM_MAP_AFTER"
        case paranoid = "PMEMSHIM_PARANOID"
        case exclusive = "PMEMSHIM_EXCLUSIVE"
        case runtimeDirectory = "PMEMSHIM_RUNTIME_DIR"
        /// Read by shimctl only.
        case library = "PMEMSHIM_LIBRARY"
        /// Read by this package's own tests and scripts only, which export them.
        case shimctl = "PMEMSHIM_SHIMCTL"
        case programs = "PMEMSHIM_PROGRAMS"
    }

    /// What the engine takes; beyond, it would leave values out.
    enum Limit {
        /// Directories of PMEMSHIM_MOUNTS.
        static let mounts = 16
        /// Bytes of PMEMSHIM_MOUNTS; all values together have 8 KiB.
        static let mountsLength = 4096
        static let mapAfter: UInt32 = 1_000_000
    }

    /// What has to be set before the exec; nothing means: unset.
    private(set) var changes: [(name: Name, value: String?)] = []
    /// The directories that will be served by name.
    private(set) var mounts: [MountItem] = []
    /// `PMEMSHIM_DISABLE=1` is in force.
    private(set) var isDisabled = false

    /// Checks `inherited` and adds the options to it.
    /// - Parameters:
    ///   - mountArguments: values of `--mount`, added after the inherited directories.
    ///   - logArgument: value of `--log`; takes the place of an inherited `PMEMSHIM_LOG`.
    /// - Throws: a `Complaint` for the first bad value, naming it.
    init(inherited: [String: String], mountArguments: [String], logArgument: String?) throws {
        try Self.refuseUnknownNames(in: inherited.keys)
        // An empty value means the same as none.
        var values: [Name: String] = [:]
        for name in Name.allCases {
            guard let value = inherited[name.rawValue] else { continue }
            if value.isEmpty { changes.append((name, nil)) } else { values[name] = value }
        }
        try setMounts(inherited: values[.mounts], arguments: mountArguments)
        if let logArgument {
            changes.append((.log, try Self.logFile(logArgument, from: "--log")))
        } else if let value = values[.log] {
            changes.append((.log, try Self.logFile(value, from: Name.log.rawValue)))
        }
        isDisabled = try Self.flag(.disable, values)
        _ = try Self.flag(.paranoid, values)
        _ = try Self.flag(.exclusive, values)
        if let value = values[.mapAfter] {
            guard value.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let calls = UInt32(value), calls <= Limit.mapAfter
            else {
                throw Complaint(
                    .usage,
                    "PMEMSHIM_MAP_AFTER: \"\(value.printable)\" is not a number of calls from 0 to \(Limit.mapAfter)")
            }
        }
        if let value = values[.runtimeDirectory] { try Self.checkRuntimeDirectory(value) }
    }

    /// Neither named directories nor mounts that the shim finds by their dax option.
    var servesNothing: Bool {
        !isDisabled && mounts.isEmpty && !FileSystemInfo.all.contains(where: \.isDAX)
            && !((try? Registry.all()) ?? []).contains { !$0.mountPoints.isEmpty }
    }

    private static func flag(_ name: Name, _ values: [Name: String]) throws -> Bool {
        guard let value = values[name] else { return false }
        guard value == "0" || value == "1" else {
            throw Complaint(.usage, "\(name.rawValue): \"\(value.printable)\" is neither 0 nor 1")
        }
        return value == "1"
    }

    private mutating func setMounts(inherited: String?, arguments: [String]) throws {
        let items =
            try inherited.map { try MountItem.list(parsing: $0).map { try $0.validated(from: "PMEMSHIM_MOUNTS") } }
            ?? []
        let added = try arguments.map { try MountItem.argument($0).validated(from: "--mount") }
        for item in items + added {
            if let same = mounts.firstIndex(where: { $0.directory == item.directory }) {
                mounts[same].pagecache = mounts[same].pagecache || item.pagecache
            } else {
                mounts.append(item)
            }
        }
        guard mounts.count <= Limit.mounts else {
            throw Complaint(.usage, "\(mounts.count) directories are to be served; \(Limit.mounts) are possible")
        }
        guard mounts.reduce(0, { $0 + $1.description.utf8.count + 1 }) <= Limit.mountsLength else {
            throw Complaint(.usage, "the paths of all mounts are longer than \(Limit.mountsLength) bytes together")
        }
        if !mounts.isEmpty { changes.append((.mounts, mounts.map(\.description).joined(separator: ":"))) }
    }
}

extension ShimEnvironment {
    private static func refuseUnknownNames(in names: some Sequence<String>) throws {
        let known = Set(Name.allCases.map(\.rawValue))
        guard let unknown = names.filter({ $0.hasPrefix("PMEMSHIM_") && !known.contains($0) }).min() else { return }
        throw Complaint(
            .usage,
            "\(unknown.printable) is set, but there is no such variable (known: "
                + Name.allCases.dropLast(2).map(\.rawValue).joined(separator: ", ") + ")")
    }

    /// The absolute path of a log file that can be written.
    private static func logFile(_ value: String, from origin: String) throws -> String {
        let name = "\(origin): \"\(value.printable)\""
        let path = absolute(FilePath(value))
        if let stat = try? Stat(path) {
            // Fifos and devices (a terminal) are as good as files.
            guard stat.type != .directory else { throw Complaint(.usage, "\(name) is a directory") }
            guard path.withPlatformString({ access($0, W_OK) }) == 0 else {
                throw Complaint(.usage, "\(name) cannot be written: \(Errno(rawValue: errno))")
            }
            return path.string
        }
        let directory = path.removingLastComponent()
        guard let stat = try? Stat(directory), stat.type == .directory else {
            throw Complaint(.usage, "\(name): there is no directory \"\(directory.string.printable)\"")
        }
        guard directory.withPlatformString({ access($0, W_OK | X_OK) }) == 0 else {
            throw Complaint(
                .usage, "\(name): no file can be made in \"\(directory.string.printable)\": \(Errno(rawValue: errno))")
        }
        return path.string
    }

    private static func checkRuntimeDirectory(_ value: String) throws {
        let name = "PMEMSHIM_RUNTIME_DIR: \"\(value.printable)\""
        guard value.hasPrefix("/") else { throw Complaint(.usage, "\(name) is not an absolute path") }
        let path = FilePath(value)
        guard let stat = try? Stat(path, followTargetSymlink: false) else {
            let parent = path.removingLastComponent()
            guard parent.withPlatformString({ access($0, W_OK | X_OK) }) == 0 else {
                throw Complaint(.usage, "\(name) does not exist and cannot be made: \(Errno(rawValue: errno))")
            }
            return
        }
        guard stat.type == .directory else { throw Complaint(.usage, "\(name) is not a directory") }
        guard stat.rawValue.st_uid == geteuid(), stat.rawValue.st_mode & 0o077 == 0 else {
            throw Complaint(.usage, "\(name) belongs to another user or is open to others (its mode must be 0700)")
        }
    }

    private static func absolute(_ path: FilePath) -> FilePath {
        path.isAbsolute ? path : FilePath(FileManager.default.currentDirectoryPath).pushing(path)
    }
}
