import SystemPackage

/// One directory of `PMEMSHIM_MOUNTS` or of `--mount`, with its option.
struct MountItem: Equatable {
    /// Absolute; canonical once validated.
    var directory: FilePath
    /// `:pagecache`: a plain file system is asked for by name.
    var pagecache: Bool

    static let optionName = "pagecache"

    /// As `PMEMSHIM_MOUNTS` has it.
    var description: String { directory.string + (pagecache ? ":" + Self.optionName : "") }
}

extension MountItem {
    /// Reads the value of `PMEMSHIM_MOUNTS`: directories separated by colons, each perhaps followed by its option.
    /// Empty items are skipped.
    /// - Throws: a `Complaint` that names the item which is neither an absolute path nor a known option.
    static func list(parsing value: String) throws -> [MountItem] {
        var items: [MountItem] = []
        for part in value.split(separator: ":").map(String.init) {
            if part.hasPrefix("/") {
                items.append(MountItem(directory: FilePath(part), pagecache: false))
            } else if let last = items.indices.last {
                guard part == optionName else {
                    throw unknownOption(part, after: items[last].directory.string, in: "PMEMSHIM_MOUNTS")
                }
                items[last].pagecache = true
            } else {
                throw Complaint(
                    .usage, "PMEMSHIM_MOUNTS: \"\(part.printable)\" is not an absolute path (directories start with /)")
            }
        }
        return items
    }

    /// Reads one argument of `--mount`: `DIR` or `DIR:pagecache`. A relative directory is one below the current
    /// directory.
    static func argument(_ value: String) throws -> MountItem {
        var path = value
        var pagecache = false
        if let colon = value.firstIndex(of: ":") {
            path = String(value[..<colon])
            let option = String(value[value.index(after: colon)...])
            guard option == optionName else {
                throw unknownOption(option, after: path, in: "--mount \(value.printable)")
            }
            pagecache = true
        }
        guard !path.isEmpty else { throw Complaint(.usage, "--mount \"\(value.printable)\": the directory is empty") }
        return MountItem(directory: FilePath(path), pagecache: pagecache)
    }

    private static func unknownOption(_ option: String, after directory: String, in origin: String) -> Complaint {
        Complaint(
            .usage,
            "\(origin): unknown option \"\(option.printable)\" after directory \"\(directory.printable)\""
                + " (known: \(optionName); a colon cannot be part of a directory's name here)")
    }
}
