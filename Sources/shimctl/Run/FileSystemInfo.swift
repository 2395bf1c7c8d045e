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
        guard let mount = Self.mount(of: directory) else { return nil }
        self.init(type: mount.type, isDAX: mount.isDAX)
    }

    /// The mount `directory` is on; nothing where /proc does not tell. The directory need not be readable.
    static func mount(of directory: FilePath) -> MountEntry? {
        // The mount's number, not its path: bind mounts and mounts stacked on one another share paths and devices.
        let descriptor = directory.withPlatformString {
            open($0, Int32(PS_O_PATH.rawValue) | O_DIRECTORY | O_CLOEXEC)
        }
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        guard let fdinfo = ProcFile.text("/proc/self/fdinfo/\(descriptor)"),
            let text = fdinfo.split(separator: "\n").first(where: { $0.hasPrefix("mnt_id:") })?
                .split(whereSeparator: \.isWhitespace).last,
            let identifier = UInt64(text)
        else { return nil }
        return MountEntry.all.first { $0.identifier == identifier }
    }
}
