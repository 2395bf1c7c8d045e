import FoundationEssentials
import Glibc
import SystemPackage

/// A user's runtime directory, whose files are used only where nobody else could have written or read them.
enum RuntimeFolder {
    /// Opens a file of it for reading.
    /// - Parameter owner: whose directory and file it must be; nothing: the caller's own, or, for root, anybody's.
    /// - Returns: nothing if there is none yet.
    /// - Throws: a `Complaint` if it is not this user's own private regular file.
    static func open(_ name: String, in directory: FilePath, owner: uid_t? = nil) throws -> FileDescriptor? {
        let folder: FileDescriptor
        do {
            folder = try FileDescriptor.open(directory, .readOnly, options: [.directory, .noFollow, .closeOnExec])
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw Complaint(.failure, "\(directory.string.printable): \(error)")
        }
        defer { try? folder.close() }
        try check(try Stat(folder), named: directory.string, owner)

        let path = directory.appending(name)
        // O_NONBLOCK: somebody may have put a FIFO there.
        let raw = openat(folder.rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard raw >= 0 else {
            let reason = Errno(rawValue: errno)
            if reason == .noSuchFileOrDirectory { return nil }
            throw Complaint(
                .failure,
                reason == .tooManySymbolicLinkLevels
                    ? "\(path.string.printable) is a symbolic link, which is not followed"
                    : "\(path.string.printable): \(reason)")
        }
        let descriptor = FileDescriptor(rawValue: raw)
        do {
            let stat = try Stat(descriptor)
            guard stat.type == .regular else {
                throw Complaint(.failure, "\(path.string.printable) is not a regular file")
            }
            try check(stat, named: path.string, owner)
            return descriptor
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    /// The superuser may look at another user's figures; everybody else only at their own.
    private static func check(_ stat: Stat, named name: String, _ owner: uid_t?) throws {
        let found = stat.rawValue.st_uid
        guard owner.map({ $0 == found }) ?? (found == geteuid() || geteuid() == 0) else {
            let whose = owner.flatMap { $0 == geteuid() ? nil : "user \($0)" } ?? "you"
            throw Complaint(.failure, "\(name.printable) belongs to user \(found), not to \(whose)")
        }
        guard stat.rawValue.st_mode & 0o077 == 0 else {
            throw Complaint(
                .failure,
                "\(name.printable) has mode \(String(stat.rawValue.st_mode & 0o7777, radix: 8)):"
                    + " others may have written or read it, so it is not used")
        }
    }
}
