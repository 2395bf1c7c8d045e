import ArgumentParser

/// Variables as the files of services and shells write them, so that nobody has to quote by hand.
struct EnvironmentText {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case sh
        case systemd
        case debianCluster = "debian-cluster"
        case docker
        case json
    }

    let variables: [(name: String, value: String)]

    /// A line for each variable, without a newline behind the last.
    /// - Throws: a `Complaint` where a value cannot be written in that format.
    func text(_ format: Format) throws -> String {
        try variables.map { name, value in
            // Every one of these formats is one line for each variable; docker's has no way to write another.
            guard !value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
                throw Complaint(
                    .usage, "\(name): \"\(value.printable)\" has a control character in it, which no such file can hold"
                )
            }
            switch format {
            case .sh: return "export \(name)='\(value.replacing("'", with: "'\\''"))'"
            case .systemd: return "Environment=\"\(name)=\(Self.systemd(value))\""
            case .debianCluster: return "\(name) = '\(try Self.cluster(value, of: name))'"
            case .docker, .json: return "\(name)=\(value)"
            }
        }.joined(separator: "\n")
    }

    /// Within double quotes (systemd.syntax(7)); `%` begins a specifier (systemd.unit(5)).
    static func systemd(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("%", with: "%%")
    }

    /// As PostgreSQL's own configuration has strings: a quotation mark is doubled. pg_ctlcluster reads no backslashes
    /// but takes `\'` for a quotation mark too, so that one before the end would swallow it.
    private static func cluster(_ value: String, of name: String) throws -> String {
        guard !value.contains("\\") else {
            throw Complaint(.usage, "\(name): \"\(value.printable)\" has a backslash, which Debian's file cannot hold")
        }
        return value.replacing("'", with: "''")
    }
}
