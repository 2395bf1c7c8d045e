import FoundationEssentials
import SystemPackage

/// Files that the kernel makes up as they are read: of /proc and /sys. They have no size, and a read gives a page of
/// them at most; FoundationEssentials takes that for the end (seen with /proc/self/maps and mountinfo: 4 KiB of it).
enum ProcFile {
    /// No more than so much is taken: 16 MiB are the maps of 100,000 mappings.
    private static let mostBytes = 16 << 20

    /// - Returns: nothing for a file that cannot be opened or read.
    static func contents(_ path: String) -> Data? {
        // Not waited for: some lie in directories of other users, who may have put anything there.
        let options: FileDescriptor.OpenOptions = [.closeOnExec, .nonBlocking]
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: options) else { return nil }
        defer { try? file.close() }
        guard (try? Stat(file).type) == .regular else { return nil }
        var result = Data()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while result.count < mostBytes {
            guard let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }) else { return nil }
            if count == 0 { break }
            result.append(contentsOf: buffer.prefix(count))
        }
        return result
    }

    /// As text; what is no UTF-8 is replaced.
    static func text(_ path: String) -> String? { contents(path).map { String(decoding: $0, as: UTF8.self) } }
}
