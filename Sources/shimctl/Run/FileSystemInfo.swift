import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// The file system of a mount: whether the shim serves files on it.
struct FileSystemInfo {
    /// As the kernel names it: `tmpfs`, `ext4`, `fuse.sshfs`.
    let type: String
    /// ``MountEntry/isDAX``.
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
        if isDAX || Self.memory.contains(type) { return .served }
        if let why = Self.neverServed.first(where: { type == $0.type || type.hasPrefix($0.type + ".") })?.why {
            return .never(why)
        }
        return .optIn
    }

    // The engine's own lists (ps_file_systems.h).
    private static let memory: [String] = {
        var list: [String] = []
        while let type = ps_memory_type(list.count) { list.append(String(cString: type)) }
        return list
    }()

    private static let neverServed: [(type: String, why: String)] = {
        var list: [(type: String, why: String)] = []
        while let row = ps_never_served_row(list.count)?.pointee {
            list.append((String(cString: row.type), String(cString: row.why)))
        }
        return list
    }()
}

extension FileSystemInfo {
    /// The file system `directory` is on; nothing where /proc does not tell.
    init?(of directory: FilePath) {
        // The mount's number, not its path: bind mounts and mounts stacked on one another share paths and devices.
        guard let descriptor = try? FileDescriptor.open(directory, .readOnly, options: [.directory, .closeOnExec])
        else { return nil }
        defer { try? descriptor.close() }
        guard let fdinfo = try? String(contentsOfFile: "/proc/self/fdinfo/\(descriptor.rawValue)", encoding: .utf8),
            let text = fdinfo.split(separator: "\n").first(where: { $0.hasPrefix("mnt_id:") })?
                .split(whereSeparator: \.isWhitespace).last,
            let identifier = UInt64(text), let mount = MountEntry.all.first(where: { $0.identifier == identifier })
        else { return nil }
        self.init(type: mount.type, isDAX: mount.isDAX)
    }
}
