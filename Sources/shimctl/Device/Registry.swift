import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// Where attached devices are registered, so that every process finds them: one file each in a directory that only root
/// can have made and can write to.
enum Registry {
    static let directory = FilePath(PS_ATTACHMENT_DIRECTORY)

    /// All that are registered, in order of name.
    /// - Throws: a `Complaint` if the directory could have been written by others than root.
    static func all() throws -> [Attachment] {
        guard try isThere() else { return [] }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.string)) ?? []
        return try names.sorted().compactMap { name in
            guard !name.hasPrefix("."), let bytes = try content(of: name) else { return nil }
            guard let attachment = Attachment(parsing: bytes), attachment.data.description == name else {
                Output.warn("shimctl: \(path(name).string.printable) is no registration of this version: left out")
                return nil
            }
            return attachment
        }.sorted { $0.name < $1.name }
    }

    /// Makes the directories where registrations and the lock of attach and detach are.
    static func makeDirectory() throws {
        for level in [directory.removingLastComponent(), directory] {
            let made = level.withPlatformString { mkdir($0, 0o755) }
            guard made == 0 || errno == EEXIST else {
                throw Complaint(.failure, "\(level.string): \(Errno(rawValue: errno))")
            }
        }
        _ = try isThere()
    }

    /// Registers, or changes what is registered; the file appears whole or not at all. With the lock.
    static func add(_ attachment: Attachment) throws {
        try makeDirectory()
        let target = path(attachment.data.description)
        // Whoever is here has the lock: a draft that lies there was left by a process that was killed.
        let draft = path(".draft")
        _ = unlink(draft.string)
        try DeviceFile.complaining(draft.string) {
            let file = try FileDescriptor.open(
                draft, .writeOnly, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter {
                // Whatever the umask is: every user's processes are to read it.
                guard fchmod(file.rawValue, 0o644) == 0 else { throw Errno(rawValue: errno) }
                _ = try attachment.bytes.withUnsafeBytes { try file.writeAll($0) }
            }
            guard rename(draft.string, target.string) == 0 else { throw Errno(rawValue: errno) }
        }
    }

    /// With the lock.
    static func remove(_ number: DeviceNumber) throws {
        guard unlink(path(number.description).string) == 0 || errno == ENOENT else {
            throw Complaint(.failure, "\(path(number.description).string): \(Errno(rawValue: errno))")
        }
    }

    private static func path(_ name: String) -> FilePath { directory.appending(name) }

    /// Whether the directory is there; it and the one above must be root's, and writable by nobody else.
    static func isThere() throws -> Bool {
        for level in [directory.removingLastComponent(), directory] {
            var found = stat()
            guard lstat(level.string, &found) == 0 else {
                if errno == ENOENT { return false }
                throw Complaint(.failure, "\(level.string): \(Errno(rawValue: errno))")
            }
            guard found.st_mode & S_IFMT == S_IFDIR, found.st_uid == 0, found.st_mode & 0o022 == 0 else {
                throw Complaint(
                    .failure, "\(level.string) is not a directory that only root can write to: it is not used")
            }
        }
        return true
    }

    private static func content(of name: String) throws -> [UInt8]? {
        let descriptor = open(path(name).string, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }  // detached meanwhile
        defer { _ = close(descriptor) }
        var found = stat()
        guard fstat(descriptor, &found) == 0, found.st_mode & S_IFMT == S_IFREG, found.st_uid == 0,
            found.st_mode & 0o022 == 0
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: MemoryLayout<ps_attachment>.size + 1)
        let count = read(descriptor, &bytes, bytes.count)
        return Array(bytes.prefix(max(count, 0)))
    }
}
