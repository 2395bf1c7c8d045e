import FoundationEssentials
import Glibc
import SystemPackage

extension MountItem {
    /// This item with its real, absolute path, once it is known that the shim can serve it.
    /// - Parameter origin: the option or variable it comes from, for messages.
    /// - Throws: a `Complaint` that names the directory and says what is wrong with it.
    func validated(from origin: String) throws -> MountItem {
        let name = "\(origin): \"\(directory.string.printable)\""
        let real = try Self.realPath(of: directory, named: name)
        guard let stat = try? Stat(real), stat.type == .directory else {
            throw Complaint(.usage, "\(name) is not a directory")
        }
        guard !real.string.contains(":") else {
            throw Complaint(.usage, "\(name): its path contains a colon, which separates items of PMEMSHIM_MOUNTS")
        }
        guard let fileSystem = FileSystemInfo(of: real) else {
            // Without /proc the engine cannot tell either; it will pass everything on, which is safe.
            return MountItem(directory: real, pagecache: pagecache)
        }
        switch fileSystem.servability {
        case .served: break
        case .optIn where pagecache: break
        case .optIn:
            throw Complaint(
                .usage,
                "\(name) is on \(fileSystem.type.printable), which is neither tmpfs nor mounted with dax:"
                    + " it is served only where asked for by name, \(real.string.printable):\(Self.optionName)")
        case .never(let reason):
            throw Complaint(.usage, "\(name) is on \(fileSystem.type.printable), which cannot be served: \(reason)")
        }
        return MountItem(directory: real, pagecache: pagecache)
    }

    private static func realPath(of path: FilePath, named name: String) throws -> FilePath {
        guard let resolved = path.withPlatformString({ realpath($0, nil) }) else {
            let reason = Errno(rawValue: errno)
            throw Complaint(
                .usage, reason == .noSuchFileOrDirectory ? "\(name) does not exist" : "\(name): \(reason)")
        }
        defer { free(resolved) }
        try ForeignBytes.refuse(resolved, "\(name): its path")
        return FilePath(platformString: resolved)
    }
}
