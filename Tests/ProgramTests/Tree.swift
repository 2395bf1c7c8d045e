import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// Everything below a directory that a program can have changed: names, kinds, modes, links, bytes.
struct Tree: Equatable {
    struct Entry: Equatable {
        var mode: mode_t
        /// Hard links; 1 for directories, whose count is the file system's affair.
        var links: UInt64
        /// A file's bytes, a symbolic link's target; empty for all else.
        var content: Data
    }

    private(set) var entries: [String: Entry] = [:]

    init(_ directory: String) throws {
        guard let enumerator = FileManager.default.enumerator(atPath: directory) else {
            throw CocoaError(.fileReadNoSuchFile)
        }
        for case let name as String in enumerator {
            entries[name] = try Self.entry("\(directory)/\(name)")
        }
    }

    private static func entry(_ path: String) throws -> Entry {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw CocoaError(.fileReadUnknown) }
        let content: Data
        switch status.st_mode & S_IFMT {
        case S_IFREG: content = try Data(contentsOf: URL(fileURLWithPath: path))
        case S_IFLNK: content = Data(try FileManager.default.destinationOfSymbolicLink(atPath: path).utf8)
        default: content = Data()
        }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        return Entry(mode: status.st_mode, links: isDirectory ? 1 : UInt64(status.st_nlink), content: content)
    }

    /// One line for each name that is not the same in both; the first differing byte of files.
    func differences(from other: Tree) -> [String] {
        Set(entries.keys).union(other.entries.keys).sorted().compactMap { name in
            switch (entries[name], other.entries[name]) {
            case (nil, _): return "\(name): only in the other"
            case (_, nil): return "\(name): not in the other"
            case (let mine?, let its?):
                guard mine != its else { return nil }
                return "\(name): \(mine.difference(from: its))"
            }
        }
    }
}

extension Tree.Entry {
    fileprivate func difference(from other: Self) -> String {
        var parts: [String] = []
        if mode != other.mode { parts.append("mode \(String(mode, radix: 8)) and \(String(other.mode, radix: 8))") }
        if links != other.links { parts.append("\(links) and \(other.links) links") }
        if content.count != other.content.count { parts.append("\(content.count) and \(other.content.count) bytes") }
        if content != other.content {
            let at = zip(content, other.content).enumerated().first { $1.0 != $1.1 }?.offset
            parts.append("differing from byte \(at ?? min(content.count, other.content.count))")
        }
        return parts.joined(separator: ", ")
    }
}
