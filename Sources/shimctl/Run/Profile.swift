import CShimSys

/// What is known of a program that people run under the shim: its settings, what the program itself should be set to
/// and why, and what will not be served. A file of pmemshim-profile(5).
struct Profile {
    /// A setting of the program itself.
    struct Advice: Encodable, Equatable {
        /// As the program's own documentation writes it: `shared_buffers=256MB`.
        let setting: String
        var reason: String
    }

    /// Without directory and suffix.
    let name: String
    let path: String
    var description = ""
    /// Names of systemd units, without `.service`, with `*` for any characters, that this profile is for.
    var services: [String] = []
    /// Where such a service has its data, if nobody names another directory.
    var dataDirectory: String?
    var environment: [ps_setting: String] = [:]
    var advice: [Advice] = []
    var notServed: [String] = []

    /// Whether a unit of that name, without `.service`, is one that it is for.
    func isFor(service: String) -> Bool { services.contains { Self.matches(service, $0) } }

    /// fnmatch(3) would do, but only `*` is meant to be special.
    private static func matches(_ name: String, _ pattern: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
        guard parts.count > 1, let first = parts.first, let last = parts.last else { return name == pattern }
        guard name.hasPrefix(first), name.hasSuffix(last), name.count >= first.count + last.count else { return false }
        var rest = name.dropFirst(first.count).dropLast(last.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }
}

extension Profile {
    /// Reads a profile: sections in brackets, `Key=value` lines, `#` or `;` before comments, and a line that ends with
    /// a backslash goes on in the next, as in systemd.syntax(7).
    /// - Throws: a `Complaint` that names the file and the line which is wrong.
    init(name: String, path: String, text: String) throws {
        self.name = name
        self.path = path
        var section = ""
        for (number, line) in Self.lines(of: text) {
            do {
                if line.hasPrefix("["), line.hasSuffix("]") {
                    section = String(line.dropFirst().dropLast())
                    guard ["Profile", "Environment", "Program", "NotServed"].contains(section) else {
                        throw Complaint(
                            .usage,
                            "there is no section [\(section.printable)]"
                                + " (known: Profile, Environment, Program, NotServed)"
                        )
                    }
                    continue
                }
                guard let equals = line.firstIndex(of: "=") else {
                    throw Complaint(.usage, "\"\(line.printable)\" is neither [Section] nor Key=value")
                }
                let key = String(line[..<equals]).trimmed
                let value = String(line[line.index(after: equals)...]).trimmed
                guard !value.isEmpty else { throw Complaint(.usage, "\(key.printable) has no value") }
                try take(key, value, in: section)
            } catch let complaint as Complaint {
                throw Complaint(complaint.status, "\(path.printable), line \(number): \(complaint.description)")
            }
        }
    }

    private mutating func take(_ key: String, _ value: String, in section: String) throws {
        switch (section, key) {
        case ("Profile", "Description"): description = value
        case ("Profile", "Services"): services += value.split(whereSeparator: \.isWhitespace).map(String.init)
        case ("Profile", "DataDirectory"):
            guard value.hasPrefix("/") else {
                throw Complaint(.usage, "DataDirectory: \"\(value.printable)\" is not an absolute path")
            }
            dataDirectory = value
        case ("Environment", _): environment[try Self.setting(key)] = value
        case ("Program", "Set"): advice.append(Advice(setting: value, reason: ""))
        case ("Program", "Because"):
            guard let last = advice.indices.last, advice[last].reason.isEmpty else {
                throw Complaint(.usage, "Because follows the Set that it explains")
            }
            advice[last].reason = value
        case ("NotServed", "What"): notServed.append(value)
        case ("", _): throw Complaint(.usage, "\(key.printable) stands before the first [Section]")
        default: throw Complaint(.usage, "[\(section)] has no key \(key.printable)")
        }
    }

    private static func setting(_ name: String) throws -> ps_setting {
        guard let setting = ps_setting.all.first(where: { $0.variable == name }) else {
            throw Complaint(.usage, "there is no variable \(name.printable)")
        }
        guard setting != .library, setting != .profiles else {
            throw Complaint(.usage, "\(name), which only shimctl reads, has no place in a profile")
        }
        return setting
    }

    /// Lines without comments, blank ones and blanks around them, each with the number of its first.
    private static func lines(of text: String) -> [(number: Int, text: String)] {
        var result: [(number: Int, text: String)] = []
        var begun: (number: Int, text: String)?
        for (index, raw) in text.lines.enumerated() {
            let line = String(raw).trimmed
            if begun == nil, line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            var whole = begun ?? (index + 1, "")
            let goesOn = line.hasSuffix("\\")
            whole.text += (whole.text.isEmpty ? "" : " ") + (goesOn ? String(line.dropLast()).trimmed : line)
            begun = goesOn ? whole : nil
            if !goesOn { result.append(whole) }
        }
        if let begun { result.append(begun) }
        return result
    }
}
