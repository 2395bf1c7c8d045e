import SystemPackage

/// A file of the system that holds variables for a service: what it says, and what it is to say.
protocol ServiceFile {
    var file: SystemFile { get }

    /// The whole content with the variables in it.
    /// - Parameter current: what it holds now; nothing: there is no such file.
    /// - Throws: a `Complaint` where somebody else's settings are in the way.
    func applied(_ variables: [(name: String, value: String)], of service: Service, to current: String?) throws
        -> String

    /// The content without what `applied` put into it; nothing: the file goes.
    /// - Throws: a `Complaint` where there is nothing of ours.
    func reverted(_ current: String) throws -> String?

    /// What `applied` has put into a content, as it stands there but for the quotes; nothing where there is none.
    func variables(in current: String) -> [(name: String, value: String)]?
}

/// A drop-in of a systemd unit that is wholly ours.
struct DropIn: ServiceFile {
    let file: SystemFile

    /// The unit's name is without its suffix.
    init(unit: String) {
        file = SystemFile(path: FilePath("/etc/systemd/system/\(unit).service.d/pmemshim.conf"), makesDirectory: true)
    }

    private static let firstLine = "# Written by shimctl profile apply"

    func applied(_ variables: [(name: String, value: String)], of service: Service, to current: String?) throws
        -> String
    {
        if let current, !current.hasPrefix(Self.firstLine) {
            throw Complaint(
                .failure, "\(file.path.string.printable) was not written by shimctl: it is left alone; move it away")
        }
        return """
            \(Self.firstLine) \(service.name); shimctl profile revert \(service.name) takes it away.
            [Service]
            \(try EnvironmentText(variables: variables).text(.systemd))

            """
    }

    func reverted(_ current: String) throws -> String? {
        guard current.hasPrefix(Self.firstLine) else {
            throw Complaint(.failure, "\(file.path.string.printable) was not written by shimctl: it is left alone")
        }
        return nil
    }

    func variables(in current: String) -> [(name: String, value: String)]? {
        guard current.hasPrefix(Self.firstLine) else { return nil }
        let prefix = "Environment=\""
        var result: [(name: String, value: String)] = []
        for line in current.lines where line.hasPrefix(prefix) && line.hasSuffix("\"") {
            let text = String(line.dropFirst(prefix.count).dropLast())
            guard let equals = text.firstIndex(of: "=") else { continue }
            let value = String(text[text.index(after: equals)...])
            result.append((String(text[..<equals]), value.replacing("%%", with: "%")))
        }
        return result
    }
}

/// The environment of a PostgreSQL cluster of Debian's: a file of the administrator's, with some lines of ours in it.
struct ClusterEnvironment: ServiceFile {
    let file: SystemFile

    init(directory: FilePath) { file = SystemFile(path: directory.appending("environment"), makesDirectory: false) }

    private static let begin = "# begin pmemshim"
    private static let end = "# end pmemshim"
    /// At the end of the first line where there was no file: then `revert` leaves none.
    private static let whole = "takes this file away"

    func applied(_ variables: [(name: String, value: String)], of service: Service, to current: String?) throws
        -> String
    {
        let others = try Self.withoutOurs(current ?? "", in: file.path) ?? (current ?? "")
        let isMade = current.map(Self.isMade) ?? true
        for (number, line) in others.lines.enumerated() {
            let name = String(line).trimmed.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            guard name != "LD_PRELOAD", !name.hasPrefix("PMEMSHIM_") else {
                throw Complaint(
                    .failure,
                    "\(file.path.string.printable), line \(number + 1), sets \(name): take it out first")
            }
        }
        return (others.isEmpty || others.utf8.last == UInt8(ascii: "\n") ? others : others + "\n") + """
            \(Self.begin): shimctl profile revert \(service.name) \(isMade ? Self.whole : "takes these lines away")
            \(try EnvironmentText(variables: variables).text(.debianCluster))
            \(Self.end)

            """
    }

    func reverted(_ current: String) throws -> String? {
        guard let others = try Self.withoutOurs(current, in: file.path) else {
            throw Complaint(.failure, "\(file.path.string.printable) has no lines of pmemshim")
        }
        return others.isEmpty && Self.isMade(current) ? nil : others
    }

    /// Whether `applied` has made the file.
    private static func isMade(_ text: String) -> Bool {
        text.lines.first { $0.hasPrefix(begin) }?.hasSuffix(whole) ?? false
    }

    func variables(in current: String) -> [(name: String, value: String)]? {
        let lines = current.lines
        guard let first = lines.firstIndex(where: { $0.hasPrefix(Self.begin) }) else { return nil }
        var result: [(name: String, value: String)] = []
        for line in lines[first...] {
            if line.hasPrefix(Self.end) { break }
            guard let separator = line.firstRange(of: " = '"), line.hasSuffix("'") else { continue }
            let value = String(line[separator.upperBound...].dropLast())
            result.append((String(line[..<separator.lowerBound]), value.replacing("''", with: "'")))
        }
        return result
    }

    /// The lines of others; nothing where there are none of ours.
    private static func withoutOurs(_ text: String, in path: FilePath) throws -> String? {
        let lines = text.wholeLines
        guard let first = lines.firstIndex(where: { $0.hasPrefix(begin) }) else { return nil }
        guard let last = lines[first...].firstIndex(where: { $0.hasPrefix(end) }) else {
            throw Complaint(
                .failure,
                "\(path.string.printable), line \(first + 1): \"\(begin)\" without \"\(end)\": it is left alone")
        }
        return (lines[..<first] + lines[(last + 1)...]).joined(separator: "\n")
    }
}
