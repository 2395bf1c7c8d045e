import FoundationEssentials
import Glibc
import SystemPackage

/// What /proc says of a process. Another user's is root's to see.
struct ProcessView {
    let pid: Int32

    private var directory: String { "/proc/\(pid)" }

    var exists: Bool { (try? Stat(FilePath(directory))) != nil }

    /// The name that ps(1) shows, cut to 15 bytes by the kernel.
    var command: String {
        String(decoding: contents("comm") ?? Data(), as: UTF8.self).trimmed
    }

    /// What it calls itself, where it says more than its name: `postgres: checkpointer` (a title that a program writes
    /// over its arguments is one text, without a path).
    var title: String {
        let words = (contents("cmdline") ?? Data()).split(separator: 0)
        guard let first = words.first, words.count == 1 || words.dropFirst().allSatisfy(\.isEmpty) else {
            return command
        }
        let text = String(decoding: first, as: UTF8.self).trimmed
        return text.hasPrefix("/") || !text.contains(": ") ? command : text
    }

    /// Whether its memory and files may be looked at.
    var isReadable: Bool { contents("environ") != nil }

    /// As it was at its start.
    var environment: [String: String] {
        var result: [String: String] = [:]
        for variable in (contents("environ") ?? Data()).split(separator: 0) {
            let text = String(decoding: variable, as: UTF8.self)
            guard let equals = text.firstIndex(of: "=") else { continue }
            result[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        return result
    }

    /// PostgreSQL and others write their title over it: nothing but zeros is left, or a part of the title.
    var hasOverwrittenEnvironment: Bool {
        guard let bytes = contents("environ"), !bytes.isEmpty else { return false }
        return environment.isEmpty
    }

    var effectiveUser: uid_t? {
        status("Uid").flatMap { $0.split(separator: "\t").dropFirst().first }.flatMap { uid_t($0) }
    }

    /// Fields of /proc/PID/status: `Uid`, `VmPTE`.
    func status(_ name: String) -> String? {
        let text = String(decoding: contents("status") ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            .map { String($0.dropFirst(name.count + 1)).trimmed }
    }

    /// Soft limit as /proc/PID/limits has it: a number, or nothing for unlimited.
    func limit(_ title: String) -> UInt64? {
        let text = String(decoding: contents("limits") ?? Data(), as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(title) }) else { return nil }
        return line.dropFirst(title.count).split(separator: " ").first.flatMap { UInt64($0) }
    }

    struct Mapping {
        let permissions: String
        let device: String
        let inode: UInt64
        /// With ` (deleted)` behind it for a file that has no name any more.
        let path: String
    }

    /// Of /proc/PID/maps, those of files.
    var mappings: [Mapping] {
        String(decoding: contents("maps") ?? Data(), as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard fields.count == 6, let inode = UInt64(fields[4]), inode > 0 else { return nil }
            return Mapping(
                permissions: String(fields[1]), device: String(fields[3]), inode: inode,
                path: String(fields[5]).trimmed)
        }
    }

    struct OpenFile {
        let number: Int32
        let path: String
        /// As fdinfo has them: those of open(2).
        let flags: Int32
        let inode: UInt64
        let size: UInt64
    }

    /// Regular files that it has open.
    var openFiles: [OpenFile] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/fd")) ?? []
        return names.compactMap { name -> OpenFile? in
            var found = stat()
            guard let number = Int32(name), stat("\(directory)/fd/\(name)", &found) == 0,
                found.st_mode & S_IFMT == S_IFREG,
                let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/fd/\(name)")
            else { return nil }
            let info = String(decoding: contents("fdinfo/\(name)") ?? Data(), as: UTF8.self)
            let flags = info.split(separator: "\n").first { $0.hasPrefix("flags:") }
                .flatMap { Int32(String($0.dropFirst(6)).trimmed, radix: 8) }
            return OpenFile(
                number: number, path: path, flags: flags ?? 0, inode: UInt64(found.st_ino),
                size: UInt64(max(found.st_size, 0)))
        }.sorted { $0.number < $1.number }
    }

    private func contents(_ name: String) -> Data? { ProcFile.contents("\(directory)/\(name)") }
}
