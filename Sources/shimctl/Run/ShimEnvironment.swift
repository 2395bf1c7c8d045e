import CShimSys
import FoundationEssentials
import Glibc
import PmemShim
import SystemPackage

/// The `PMEMSHIM_*` variables a program is started with: inherited ones and those that options of `run` set, all
/// checked here, because the shim itself never writes to anybody's standard error.
struct ShimEnvironment {
    /// What has to be set before the exec; nothing means: unset.
    private(set) var changes: [(setting: ps_setting, value: String?)] = []
    /// The directories that will be served by name.
    private(set) var mounts: [MountItem] = []
    private let user: uid_t
    /// `PMEMSHIM_DISABLE=1` is in force.
    private(set) var isDisabled = false

    /// Checks `inherited` and adds the options to it.
    /// - Parameters:
    ///   - profile: values of a profile, which those that are inherited come before.
    ///   - mountArguments: values of `--mount`, added after the inherited directories.
    ///   - user: whose runtime directory it has to be.
    ///   - logArgument: value of `--log`; takes the place of an inherited `PMEMSHIM_LOG`.
    /// - Throws: a `Complaint` for the first bad value, naming it.
    init(
        inherited: [String: String], profile: [ps_setting: String] = [:], mountArguments: [String],
        logArgument: String?, user: uid_t = geteuid()
    ) throws {
        self.user = user
        try Self.refuseUnknownNames(in: inherited.keys)
        // An empty value means the same as none.
        var values: [ps_setting: String] = [:]
        for setting in ps_setting.all {
            if let value = inherited[setting.variable] {
                if value.isEmpty { changes.append((setting, nil)) } else { values[setting] = value }
            } else if let value = profile[setting] {
                values[setting] = value
                // What has options is added together with these.
                if setting != .mounts, setting != .log { changes.append((setting, value)) }
            }
        }
        try setMounts(inherited: values[.mounts], arguments: mountArguments)
        try setLog(inherited: values[.log], argument: logArgument)
        for setting in ps_setting.all {
            if let value = values[setting] { try check(value, of: setting) }
        }
    }

    private mutating func check(_ value: String, of setting: ps_setting) throws {
        switch setting {
        case .mounts, .log: break  // They have options, and have been looked at together with these.
        case .disable: isDisabled = try Self.flag(value, of: setting)
        case .paranoid, .exclusive: _ = try Self.flag(value, of: setting)
        case .mapAfter, .firstAfter: try Self.checkCalls(value, of: setting)
        case .memory: try Self.checkMemory(value)
        case .runtimeDirectory: try checkRuntimeDirectory(value)
        case .library, .profiles: break  // `ShimLibrary` and `ProfileFolder` look at them.
        }
    }

    /// Neither named directories nor mounts that the shim finds by their dax option.
    var servesNothing: Bool {
        !isDisabled && mounts.isEmpty && !MountEntry.all.contains(where: \.isDAX)
            && !((try? Registry.all()) ?? []).contains { !$0.mountPoints.isEmpty }
    }

    private mutating func setLog(inherited: String?, argument: String?) throws {
        if let argument {
            changes.append((.log, try Self.logFile(argument, from: "--log")))
        } else if let inherited {
            changes.append((.log, try Self.logFile(inherited, from: ps_setting.log.variable)))
        }
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
        // Beyond these the engine would leave directories out.
        let most = Int(PS_MOUNTS_MOST.rawValue)
        guard mounts.count <= most else {
            throw Complaint(.usage, "\(mounts.count) directories are to be served; \(most) are possible")
        }
        let bytes = Int(PS_MOUNTS_BYTES.rawValue)
        guard mounts.reduce(0, { $0 + $1.description.utf8.count + 1 }) <= bytes else {
            throw Complaint(.usage, "the paths of all mounts are longer than \(bytes) bytes together")
        }
        if !mounts.isEmpty { changes.append((.mounts, mounts.map(\.description).joined(separator: ":"))) }
    }
}

extension ShimEnvironment {
    private static func refuseUnknownNames(in names: some Sequence<String>) throws {
        let settings = ps_setting.all.map(\.variable)
        let known = Set(settings + ps_setting.testVariables)
        guard let unknown = names.filter({ $0.hasPrefix("PMEMSHIM_") && !known.contains($0) }).min() else { return }
        throw Complaint(
            .usage,
            "\(unknown.printable) is set, but there is no such variable (known: "
                + settings.joined(separator: ", ") + ")")
    }

    private static func flag(_ value: String, of setting: ps_setting) throws -> Bool {
        guard value == "0" || value == "1" else {
            throw Complaint(.usage, "\(setting.variable): \"\(value.printable)\" is neither 0 nor 1")
        }
        return value == "1"
    }

    private static func checkCalls(_ value: String, of setting: ps_setting) throws {
        let most = PS_MAP_AFTER_MOST.rawValue
        guard value.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let calls = UInt32(value), calls <= most
        else {
            throw Complaint(
                .usage, "\(setting.variable): \"\(value.printable)\" is not a number of calls from 0 to \(most)")
        }
    }

    private static func checkMemory(_ value: String) throws {
        guard Array(value.utf8).withUnsafeBufferPointer({ ByteCount.parse($0) }) != nil else {
            throw Complaint(
                .usage,
                "PMEMSHIM_MEMORY: \"\(value.printable)\" is not a number of bytes (as 65536, 64K, 8M or 1G)")
        }
    }

    /// The absolute path of a log file that can be written.
    private static func logFile(_ value: String, from origin: String) throws -> String {
        let name = "\(origin): \"\(value.printable)\""
        let path = absolute(FilePath(value))
        try path.withPlatformString { try ForeignBytes.refuse($0, "\(name): its path") }
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

    private func checkRuntimeDirectory(_ value: String) throws {
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
        guard stat.rawValue.st_uid == user, stat.rawValue.st_mode & 0o077 == 0 else {
            throw Complaint(.usage, "\(name) belongs to another user or is open to others (its mode must be 0700)")
        }
    }

    private static func absolute(_ path: FilePath) -> FilePath {
        guard !path.isAbsolute, let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return FilePath(platformString: current).pushing(path)
    }
}
