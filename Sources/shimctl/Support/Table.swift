/// A table for people: a title per column, left-aligned text or right-aligned numbers.
///
/// Our own and not TextTable's, which shimctl had: that needs all of Foundation, and with it 44 MB of ICU in a program
/// that is linked statically; and it neither fits a terminal nor knows characters of two columns.
struct Table {
    struct Heading {
        let title: String
        let isNumber: Bool
        /// Columns that may be left out where there is no room; the greatest number goes first. 0: it stays.
        var spare = 0
        /// Its texts may be cut in the middle.
        var shrinks = false

        static func text(_ title: String, spare: Int = 0, shrinks: Bool = false) -> Heading {
            Heading(title: title, isNumber: false, spare: spare, shrinks: shrinks)
        }
        static func number(_ title: String, spare: Int = 0) -> Heading {
            Heading(title: title, isNumber: true, spare: spare)
        }
    }

    let headings: [Heading]
    private(set) var rows: [[String]] = []

    init(_ headings: Heading...) {
        self.headings = headings
    }

    /// Adds a row; it has a cell for every heading. What a terminal would take for more than text is written out.
    mutating func add(_ cells: String...) { add(cells) }

    mutating func add(_ cells: [String]) {
        precondition(cells.count == headings.count, "a cell for every heading")
        rows.append(cells.map(\.printable))
    }
}

extension Table {
    /// The table as lines without trailing blanks; empty without rows.
    var text: String { lines(width: .max).joined(separator: "\n") }

    /// The same in `width` columns, as far as that goes: columns that can be spared are left out, and then texts that
    /// may be cut are.
    func text(width: Int) -> String { lines(width: width).joined(separator: "\n") }

    /// Titles, a rule, and the rows.
    func lines(width: Int) -> [String] {
        guard !rows.isEmpty else { return [] }
        var shown = Array(headings.indices)
        var widths = shown.map(self.width)
        func total() -> Int { widths.reduce(0, +) + max(widths.count - 1, 0) }
        while total() > width, let most = shown.map({ headings[$0].spare }).max(), most > 0,
            let place = shown.lastIndex(where: { headings[$0].spare == most })
        {
            shown.remove(at: place)
            widths.remove(at: place)
        }
        for place in shown.indices where headings[shown[place]].shrinks && total() > width {
            widths[place] = max(widths[place] - (total() - width), min(widths[place], 12))
        }
        let rule = widths.map { String(repeating: "-", count: $0) }
        let titles = shown.map { headings[$0].title }
        return [line(of: titles, shown, widths), line(of: rule, shown, widths)]
            + rows.map { row in line(of: shown.map { row[$0] }, shown, widths) }
    }

    private func width(of column: Int) -> Int {
        rows.reduce(headings[column].title.columns) { max($0, $1[column].columns) }
    }

    private func line(of cells: [String], _ shown: [Int], _ widths: [Int]) -> String {
        let padded = shown.indices.map { place in
            let cell = cells[place].cut(toColumns: widths[place])
            let blanks = String(repeating: " ", count: max(widths[place] - cell.columns, 0))
            return headings[shown[place]].isNumber ? blanks + cell : cell + blanks
        }
        return String(padded.joined(separator: " ").reversed().drop { $0 == " " }.reversed())
    }
}

extension String {
    /// Columns of a terminal that it takes.
    var columns: Int { reduce(0) { $0 + $1.columns } }

    /// No wider than so many columns: where it is, its middle makes room for three points.
    func cut(toColumns most: Int) -> String {
        guard columns > most else { return self }
        guard most > 8 else { return String(prefix(max(most, 0))) }
        let half = (most - 3) / 2
        var head = ""
        var tail = ""
        for character in self {
            guard head.columns + character.columns <= half else { break }
            head.append(character)
        }
        for character in reversed() {
            guard head.columns + 3 + tail.columns + character.columns <= most else { break }
            tail = String(character) + tail
        }
        return head + "..." + tail
    }
}

extension Character {
    /// 2 for those of East Asia and pictures (Unicode's annex 11: wide and full width), else 1.
    var columns: Int {
        guard let scalar = unicodeScalars.first else { return 0 }
        switch scalar.value {
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
            0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f900...0x1f9ff, 0x20000...0x3fffd:
            return 2
        default: return 1
        }
    }
}
