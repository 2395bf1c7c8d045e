/// One thing that `doctor` or `advise` has looked at.
struct Finding: Encodable, Equatable {
    enum Level: String, Encodable {
        /// As it should be.
        case ok
        /// Worth knowing; nothing is wrong.
        case note
        /// Something is slower or less safe than it could be.
        case warning
        /// Because of this nothing, or not this, is served.
        case error
    }

    let level: Level
    /// What was looked at: `library`, `kernel`, a path.
    let subject: String
    let text: String
    /// What to do about it.
    @Explicit var cure: String?

    init(_ level: Level, _ subject: String, _ text: String, cure: String? = nil) {
        self.level = level
        self.subject = subject
        self.text = text
        _cure = Explicit(wrappedValue: cure)
    }

    static func == (one: Finding, other: Finding) -> Bool {
        one.level == other.level && one.subject == other.subject && one.text == other.text && one.cure == other.cure
    }
}

/// Findings under headings.
struct FindingReport {
    struct Section: Encodable {
        let title: String
        let findings: [Finding]
    }

    struct Document: Encodable {
        let schema = "pmemshim.findings/1"
        let timeUnixNs: UInt64
        let sections: [Section]
        let errors: Int
        let warnings: Int
    }

    var sections: [Section] = []

    mutating func add(_ title: String, _ findings: [Finding]) {
        if !findings.isEmpty { sections.append(Section(title: title, findings: findings)) }
    }

    func count(_ level: Finding.Level) -> Int {
        sections.reduce(0) { $0 + $1.findings.filter { $0.level == level }.count }
    }

    /// For people, in lines of at most `width` columns.
    func text(width: Int) -> String {
        var lines: [String] = []
        for section in sections {
            lines += lines.isEmpty ? [section.title.printable] : ["", section.title.printable]
            for finding in section.findings {
                let text = "\(finding.subject.printable): \(finding.text.printable)"
                var wrapped = Wrapped.lines(text, 11, width)
                let mark = Terminal.coloured(Self.mark(finding.level), Self.colour(finding.level))
                let blanks = String(repeating: " ", count: 11 - 2 - finding.level.rawValue.count)
                if let first = wrapped.first { wrapped[0] = "  \(mark)\(blanks)\(first.dropFirst(11))" }
                lines += wrapped
                if let cure = finding.cure {
                    for (index, line) in Wrapped.lines(cure.printable, 14, width).enumerated() {
                        lines.append(index == 0 ? "           -> " + line.dropFirst(14) : line)
                    }
                }
            }
        }
        let (errors, warnings) = (count(.error), count(.warning))
        lines += ["", "\(Figures.number(errors, "error")), \(Figures.number(warnings, "warning"))"]
        return lines.joined(separator: "\n")
    }

    private static func mark(_ level: Finding.Level) -> String { level.rawValue }

    private static func colour(_ level: Finding.Level) -> Terminal.Colour {
        switch level {
        case .ok: .green
        case .note: .plain
        case .warning: .yellow
        case .error: .red
        }
    }

    var document: Document {
        Document(
            timeUnixNs: StatsSnapshot.now(), sections: sections, errors: count(.error), warnings: count(.warning))
    }
}
