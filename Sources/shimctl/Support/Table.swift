import TextTable

/// A table for people: a title per column, left-aligned text or right-aligned numbers.
struct Table {
    struct Heading {
        let title: String
        let alignment: Alignment

        static func text(_ title: String) -> Heading { Heading(title: title, alignment: .left) }
        static func number(_ title: String) -> Heading { Heading(title: title, alignment: .right) }
    }

    let headings: [Heading]
    private(set) var rows: [[String]] = []

    init(_ headings: Heading...) {
        self.headings = headings
    }

    /// Adds a row; it has a cell for every heading.
    mutating func add(_ cells: String...) {
        precondition(cells.count == headings.count, "a cell for every heading")
        rows.append(cells)
    }

    /// The table as lines without trailing blanks; empty without rows.
    var text: String {
        let headings = headings
        let table = TextTable<[String]> { row in
            zip(headings, row).map { Column(title: $0.title, value: $1, align: $0.alignment) }
        }
        let lines = (table.string(for: rows) ?? "").split(separator: "\n", omittingEmptySubsequences: true)
        return lines.map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}
