import FoundationEssentials
import Glibc
import SystemPackage

/// A small text file of the system that is replaced as a whole. Its directory may belong to a service's own user: it is
/// opened once, no link is followed, and what is replaced is the file that was read.
final class SystemFile {
    let path: FilePath
    /// Whether the directory is made where it is missing, and removed again once it is empty.
    private let makesDirectory: Bool
    private var folder: SystemFolder?
    /// What was read: number of the file, owner and mode; nothing where there was none.
    private var seen: Stat?

    private static let mostBytes = 1 << 20

    init(path: FilePath, makesDirectory: Bool = false) {
        self.path = path
        self.makesDirectory = makesDirectory
    }

    private var name: String { path.lastComponent?.string ?? "" }
    private var directory: FilePath { path.removingLastComponent() }

    /// - Returns: nothing if there is no such file.
    func text() throws -> String? {
        folder = try SystemFolder(directory)
        seen = nil
        guard let folder else { return nil }
        let raw = openat(folder.descriptor.rawValue, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard raw >= 0 else {
            let reason = Errno(rawValue: errno)
            if reason == .noSuchFileOrDirectory { return nil }
            throw complaint(
                reason == .tooManySymbolicLinkLevels ? "is a symbolic link: it is left alone" : ": \(reason)")
        }
        do {
            return try FileDescriptor(rawValue: raw).closeAfter { try content(of: FileDescriptor(rawValue: raw)) }
        } catch let error as Errno {
            throw complaint(": \(error)")
        }
    }

    private func content(of file: FileDescriptor) throws -> String {
        let found = try Stat(file)
        guard found.type == .regular else { throw complaint("is not a regular file") }
        var bytes = [UInt8](repeating: 0, count: Self.mostBytes)
        let count = try bytes.withUnsafeMutableBytes { try file.fill($0, at: 0) }
        guard count < Self.mostBytes else { throw complaint("is longer than a configuration file") }
        guard let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
            throw complaint("is not UTF-8: it is left alone")
        }
        seen = found
        return text
    }

    /// Puts the text in the place of the file that was read, whole or not at all, with its owner and mode (root and
    /// 0644 for a new file).
    func replace(with text: String) throws {
        if folder == nil, makesDirectory {
            guard let parent = try SystemFolder(directory.removingLastComponent()) else {
                throw complaint("cannot be written: there is no \(directory.removingLastComponent().string)")
            }
            try parent.make(directory.lastComponent?.string ?? "")
            folder = try SystemFolder(directory)
        }
        guard let folder = folder?.descriptor.rawValue else { throw complaint("cannot be written: no directory") }
        let draft = ".\(name).pmemshim-\(getpid())"
        let raw = openat(folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard raw >= 0 else { throw complaint("cannot be written: \(Errno(rawValue: errno))") }
        do {
            try FileDescriptor(rawValue: raw).closeAfter { try fill(FileDescriptor(rawValue: raw), with: text) }
            guard try isUnchanged(folder) else { throw complaint("was changed meanwhile: nothing was written") }
            guard renameat(folder, draft, folder, name) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            _ = unlinkat(folder, draft, 0)
            if makesDirectory, seen == nil { _ = rmdir(directory.string) }
            throw error is Complaint ? error : complaint("cannot be written: \(error)")
        }
    }

    private func fill(_ file: FileDescriptor, with text: String) throws {
        _ = try file.writeAll(text.utf8)
        if let seen, fchown(file.rawValue, seen.rawValue.st_uid, seen.rawValue.st_gid) != 0 {
            throw Errno(rawValue: errno)
        }
        guard fchmod(file.rawValue, seen.map { $0.rawValue.st_mode & 0o777 } ?? 0o644) == 0, fsync(file.rawValue) == 0
        else { throw Errno(rawValue: errno) }
    }

    /// Whether the name still leads to the file that was read, or to none where there was none.
    private func isUnchanged(_ folder: Int32) throws -> Bool {
        var found = stat()
        guard fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
            guard errno == ENOENT else { throw Errno(rawValue: errno) }
            return seen == nil
        }
        return seen.map { $0.rawValue.st_ino == found.st_ino && $0.rawValue.st_dev == found.st_dev } ?? false
    }

    func remove() throws {
        guard let folder = folder?.descriptor.rawValue, try isUnchanged(folder), unlinkat(folder, name, 0) == 0 else {
            throw complaint("cannot be removed: \(Errno(rawValue: errno))")
        }
        if makesDirectory { _ = rmdir(directory.string) }
    }

    private func complaint(_ text: String) -> Complaint {
        Complaint(.failure, path.string.printable + (text.hasPrefix(":") ? "" : " ") + text)
    }
}
