/// What the shim does with a libc name: the table of entry points, and what is known of libc's other file I/O.
enum EntryPoints {
    /// Columns of the table (Sources/ShimC/entry-points.def).
    struct Entry {
        let family: String
        let treatment: String
    }

    /// Where an imported name of libc takes a program's I/O.
    enum Treatment: String, CaseIterable {
        /// The shim may do it without the kernel.
        case served
        /// The shim sees it, keeps its own books, and passes it on.
        case passedOn
        /// The shim does not see it and need not: the kernel owns the state it changes.
        case kernel
        /// libc does the reading or writing inside itself, where no preload sees it: right, but not faster.
        case stdio
        /// It looks like file I/O that the shim ought to know, and does not.
        case unknown
    }

    /// The names that the library exports.
    static let entries: [String: Entry] = {
        var result: [String: Entry] = [:]
        for line in table.split(separator: "\n") {
            let columns = line.split(separator: " ").map(String.init)
            guard columns.count == 3 else { continue }
            result[columns[0]] = Entry(family: columns[1], treatment: columns[2])
        }
        return result
    }()

    /// What happens to calls of `name`; nothing if the name has nothing to do with file I/O.
    static func treatment(of name: String) -> Treatment? {
        if let entry = entries[name] {
            return entry.treatment == "SERVE" || entry.treatment == "SYNC" ? .served : .passedOn
        }
        let base = base(of: name)
        if stdioNames.contains(base) { return .stdio }
        if kernelNames.contains(base) { return .kernel }
        // An alias or a fortified twin of something we interpose, which the table does not have (yet).
        if dataBases.contains(base) { return .unknown }
        return nil
    }

    /// `name` without the marks of aliases and twins: `__pread64_chk` is `pread`.
    static func base(of name: String) -> String {
        var base = Substring(name)
        if base.hasPrefix("_IO_") { base = base.dropFirst(4) }
        base = base.drop { $0 == "_" }
        if base.hasPrefix("isoc99_") { base = base.dropFirst(7) }
        if base.hasPrefix("isoc23_") { base = base.dropFirst(7) }
        for suffix in ["_chk", "_2", "_unlocked", "_nocancel", "64", "64v2"] where base.hasSuffix(suffix) {
            base = base.dropLast(suffix.count)
        }
        return String(base)
    }

    private static let dataBases: Set<String> = {
        let families: Set<String> = ["read", "write", "sync", "map", "close", "open", "stdio", "resize", "copy"]
        return Set(entries.filter { families.contains($0.value.family) }.keys.map { base(of: $0) })
    }()
}
