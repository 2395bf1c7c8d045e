/// A table for people: a title per column, left-aligned text or right-aligned numbers.
///
/// Our own and not TextTable's, which shimctl had: that needs all of Foundation, and with it 44 MB of ICU in a program
/// that is linked statically.
struct Table {
    struct Heading {
        let title: String
        let isNumber: Bool

        static func text(_ title: String) -> Heading { Heading(title: title, isNumber: false) }
        static func number(_ title: String) -> Heading { Heading(title: title, isNumber: true) }
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
}

extension Table {
    /// The table as lines without trailing blanks; empty without rows.
    var text: String {
        guard !rows.isEmpty else { return "" }
        let titles = headings.map(\.title)
        let widths = headings.indices.map { column in
            rows.reduce(titles[column].count) { max($0, $1[column].count) }
        }
        let rule = widths.map { String(repeating: "-", count: $0) }
        return ([titles, rule] + rows).map { line(of: $0, widths) }.joined(separator: "\n")
    }

    private func line(of cells: [String], _ widths: [Int]) -> String {
        let padded = zip(headings, zip(cells, widths)).map { heading, cell in
            let blanks = String(repeating: " ", count: cell.1 - cell.0.count)
            return heading.isNumber ? blanks + cell.0 : cell.0 + blanks
        }
        return String(padded.joined(separator: " ").reversed().drop { $0 == " " }.reversed())
    }
}
