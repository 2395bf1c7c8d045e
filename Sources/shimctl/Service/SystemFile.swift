import FoundationEssentials
import Glibc
import SystemPackage

/// A small text file of the system that is replaced as a whole. Its directory may belong to a service's own user: no
/// link is followed there, and the new file is made beside the old one under a name that is not there yet.
struct SystemFile {
    let path: FilePath
    /// Whether the directory is made where it is missing, and removed again once it is empty.
    var makesDirectory = false

    private static let mostBytes = 1 << 20

    /// - Returns: nothing if there is no such file.
    func text() throws -> String? {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.noFollow, .nonBlocking, .closeOnExec])
            return try file.closeAfter {
                guard try Stat(file).type == .regular else { throw complaint("is not a regular file") }
                var bytes = [UInt8](repeating: 0, count: Self.mostBytes)
                let count = try bytes.withUnsafeMutableBytes { try file.fill($0, at: 0) }
                guard count < Self.mostBytes else { throw complaint("is longer than a configuration file") }
                guard let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
                    throw complaint("is not UTF-8: it is left alone")
                }
                return text
            }
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch let error as Errno {
            throw complaint(": \(error)")
        }
    }

    /// Puts the text in the file's place, whole or not at all, with the owner and mode of what was there (root and
    /// 0644 for a new file).
    func replace(with text: String) throws {
        let directory = path.removingLastComponent()
        if makesDirectory, mkdir(directory.string, 0o755) != 0, errno != EEXIST {
            throw Complaint(.failure, "\(directory.string.printable): \(Errno(rawValue: errno))")
        }
        let old = try? Stat(path, followTargetSymlink: false)
        let draft = directory.appending(".\(path.lastComponent?.string ?? "").pmemshim-\(getpid())")
        do {
            let file = try FileDescriptor.open(
                draft, .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
                permissions: [.ownerReadWrite])
            try file.closeAfter {
                _ = try file.writeAll(text.utf8)
                if let old, fchown(file.rawValue, old.rawValue.st_uid, old.rawValue.st_gid) != 0 {
                    throw Errno(rawValue: errno)
                }
                guard fchmod(file.rawValue, old.map { $0.rawValue.st_mode & 0o777 } ?? 0o644) == 0,
                    fsync(file.rawValue) == 0
                else { throw Errno(rawValue: errno) }
            }
            guard rename(draft.string, path.string) == 0 else { throw Errno(rawValue: errno) }
        } catch let error as Errno {
            _ = unlink(draft.string)
            if makesDirectory { _ = rmdir(directory.string) }
            throw complaint("cannot be written: \(error)")
        }
    }

    func remove() throws {
        guard unlink(path.string) == 0 else { throw complaint("cannot be removed: \(Errno(rawValue: errno))") }
        if makesDirectory { _ = rmdir(path.removingLastComponent().string) }
    }

    private func complaint(_ text: String) -> Complaint {
        Complaint(.failure, path.string.printable + (text.hasPrefix(":") ? "" : " ") + text)
    }
}
