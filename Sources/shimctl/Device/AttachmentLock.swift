import CShimSys
import Glibc
import SystemPackage

/// One attach or detach at a time on this machine: all they look at and change (names, nodes, registrations, loop
/// devices) is theirs from the first look to the last change. The kernel lets go of the lock when its holder ends,
/// however it ends.
enum AttachmentLock {
    enum Kind: Int32 {
        case exclusive = 2  // LOCK_EX
        case shared = 1  // LOCK_SH
    }

    /// Runs `body` with the lock, for which others are waited for a minute.
    /// - Throws: a `Complaint` that names the process that has it.
    static func held<Result>(_ kind: Kind, _ body: () throws -> Result) throws -> Result {
        guard geteuid() == 0 else { throw Complaint(.failure, "this needs root") }
        try Registry.makeDirectory()
        let descriptor = try DeviceFile.complaining(path.string) {
            try FileDescriptor.open(
                path, .readWrite, options: [.create, .noFollow, .closeOnExec], permissions: .ownerReadWrite)
        }
        defer { try? descriptor.close() }
        let begin = ContinuousClock.now
        while flock(descriptor.rawValue, kind.rawValue | LOCK_NB) != 0 {
            let reason = Errno(rawValue: errno)
            guard reason == .wouldBlock || reason == .interrupted else {
                throw Complaint(.failure, "\(path.string): \(reason)")
            }
            guard ContinuousClock.now - begin < patience else {
                throw Complaint(
                    .failure,
                    "another shimctl\(holder(descriptor)) has been attaching or detaching for a minute: try again")
            }
            Pause.take(seconds: 0.02)
        }
        if kind == .exclusive { note(descriptor) }
        return try body()
    }

    private static let path = FilePath(PS_ATTACHMENT_PARENT).appending("lock")
    /// A detach writes back before it asks for the lock.
    private static let patience = Duration.seconds(60)

    /// For the message above only.
    private static func note(_ descriptor: FileDescriptor) {
        _ = ftruncate(descriptor.rawValue, 0)
        _ = try? descriptor.writeAll(toAbsoluteOffset: 0, "\(getpid())\n".utf8)
    }

    private static func holder(_ descriptor: FileDescriptor) -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = bytes.withUnsafeMutableBytes { (try? descriptor.read(fromAbsoluteOffset: 0, into: $0)) ?? 0 }
        let digits = String(decoding: bytes.prefix(count), as: UTF8.self).trimmed
        return Int32(digits).map { " (process \($0))" } ?? ""
    }
}
