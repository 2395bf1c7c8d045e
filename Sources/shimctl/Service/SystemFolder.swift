import Glibc
import SystemPackage

/// A directory of the system's, opened once: what is read, written and removed in it is in this very directory, though
/// its owner may put another, or a link, in its place meanwhile. No link is followed on the way to it either.
final class SystemFolder {
    let descriptor: FileDescriptor

    /// - Returns: nothing where there is no such directory.
    /// - Throws: a `Complaint` where a part of the path is a symbolic link, or cannot be entered.
    init?(_ path: FilePath) throws {
        var folder = FileDescriptor(rawValue: open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        var walked = FilePath("/")
        guard folder.rawValue >= 0 else { throw Complaint(.failure, "/: \(Errno(rawValue: errno))") }
        for component in path.components {
            walked.append(component)
            let next = openat(folder.rawValue, component.string, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            let reason = Errno(rawValue: errno)
            try? folder.close()
            guard next >= 0 else {
                if reason == .noSuchFileOrDirectory { return nil }
                throw Complaint(
                    .failure,
                    reason == .notDirectory || reason == .tooManySymbolicLinkLevels
                        ? "\(walked.string.printable) is a symbolic link or no directory: it is not followed"
                        : "\(walked.string.printable): \(reason)")
            }
            folder = FileDescriptor(rawValue: next)
        }
        descriptor = folder
    }

    deinit { try? descriptor.close() }

    /// Makes a directory in it, unless there is one.
    func make(_ name: String) throws {
        guard mkdirat(descriptor.rawValue, name, 0o755) == 0 || errno == EEXIST else {
            throw Complaint(.failure, "\(name.printable): \(Errno(rawValue: errno))")
        }
    }
}
