import Foundation
import SystemPackage

/// A user's runtime directory, whose files are used only where nobody else could have written or read them.
enum RuntimeFolder {
    /// Opens a file of it for reading.
    /// - Returns: nothing if there is none yet.
    /// - Throws: a `Complaint` if it is not this user's own private regular file.
    static func open(_ name: String, in directory: FilePath) throws -> FileDescriptor? {
        let folder: FileDescriptor
        do {
            folder = try FileDescriptor.open(directory, .readOnly, options: [.directory, .noFollow, .closeOnExec])
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch {
            throw Complaint(.failure, "\(directory.string.printable): \(error)")
        }
        defer { try? folder.close() }
        try checkOwner(of: try Stat(folder), named: directory.string, forbidden: 0o077)

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
            try checkOwner(of: stat, named: path.string, forbidden: 0o077)
            return descriptor
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    /// The superuser may look at another user's figures; everybody else only at their own.
    private static func checkOwner(of stat: Stat, named name: String, forbidden: UInt32) throws {
        guard stat.rawValue.st_uid == geteuid() || geteuid() == 0 else {
            throw Complaint(.failure, "\(name.printable) belongs to user \(stat.rawValue.st_uid), not to you")
        }
        guard stat.rawValue.st_mode & forbidden == 0 else {
            throw Complaint(
                .failure,
                "\(name.printable) has mode \(String(stat.rawValue.st_mode & 0o7777, radix: 8)):"
                    + " others may have written or read it, so it is not used")
        }
    }
}
