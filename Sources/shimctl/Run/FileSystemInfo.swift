import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// The mount a directory is on, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct FileSystemInfo {
    /// As the kernel names it: `tmpfs`, `ext4`, `fuse.sshfs`.
    let type: String
    /// Mounted with `dax`, `dax=always` or `dax=inode`: all files, or those with the attribute, are found by the shim
    /// without being named.
    let isDAX: Bool

    /// Can the shim map files of this file system, and may it?
    enum Servability: Equatable {
        /// A backing of its own: dax or memory.
        case served
        /// Only as `pagecache`, and only where asked for by name.
        case optIn
        /// Not even then.
        case never(String)
    }

    var servability: Servability {
        if isDAX || ["tmpfs", "devtmpfs", "ramfs"].contains(type) { return .served }
        if let why = Self.neverServed.first(where: { type == $0.type || type.hasPrefix($0.type + ".") })?.why {
            return .never(why)
        }
        return .optIn
    }

    /// The engine's own list (ps_file_systems.h).
    private static let neverServed: [(type: String, why: String)] = {
        var list: [(type: String, why: String)] = []
        while let row = ps_never_served_row(list.count)?.pointee {
            list.append((String(cString: row.type), String(cString: row.why)))
        }
        return list
    }()
}

extension FileSystemInfo {
    /// Every mount of this process's mount namespace; empty where /proc does not tell.
    static var all: [FileSystemInfo] { mountinfo.compactMap { FileSystemInfo(mountinfoLine: $0) } }

    /// The file system `directory` is on; nothing where /proc does not tell.
    init?(of directory: FilePath) {
        // The mount's number, not its path: bind mounts and mounts stacked on one another share paths and devices.
        guard let descriptor = try? FileDescriptor.open(directory, .readOnly, options: [.directory, .closeOnExec])
        else { return nil }
        defer { try? descriptor.close() }
        guard let fdinfo = try? String(contentsOfFile: "/proc/self/fdinfo/\(descriptor.rawValue)", encoding: .utf8),
            let mountID = fdinfo.split(separator: "\n").first(where: { $0.hasPrefix("mnt_id:") })?
                .split(whereSeparator: \.isWhitespace).last,
            let line = Self.mountinfo.first(where: { $0.prefix(while: { $0 != " " }) == mountID })
        else { return nil }
        self.init(mountinfoLine: line)
    }

    private static var mountinfo: [Substring] {
        let table = FileManager.default.contents(atPath: "/proc/self/mountinfo") ?? Data()
        return String(decoding: table, as: UTF8.self).split(separator: "\n")
    }

    private init?(mountinfoLine line: Substring) {
        // Optional fields end with a lone hyphen; then come type, source and the file system's own options.
        let fields = line.split(separator: " ")
        guard let hyphen = fields.dropFirst(6).firstIndex(of: "-"), hyphen + 3 < fields.count else { return nil }
        type = String(fields[hyphen + 1])
        isDAX = fields[hyphen + 3].split(separator: ",")
            .contains { $0 == "dax" || $0 == "dax=always" || $0 == "dax=inode" }
    }
}
