/// A drawing within an HTML page. Text is escaped; numbers are written with one decimal.
struct Svg {
    let width: Double
    let height: Double
    private var parts: [String] = []

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    /// - Parameter title: what it shows, for those who cannot see it.
    func text(title: String) -> String {
        """
        <svg viewBox="0 0 \(Self.n(width)) \(Self.n(height))" role="img" aria-label="\(Html.escaped(title))">
        \(parts.joined(separator: "\n"))
        </svg>
        """
    }

    /// - Parameters:
    ///   - style: a class of the page's style sheet.
    ///   - hint: shown under the pointer.
    mutating func rectangle(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String, opacity: Double = 1,
        hint: String = ""
    ) {
        let title = hint.isEmpty ? "" : "<title>\(Html.escaped(hint))</title>"
        let fade = opacity < 1 ? " fill-opacity=\"\(Figures.fixed(opacity, decimals: 2))\"" : ""
        parts.append(
            "<rect class=\"\(style)\" x=\"\(Self.n(x))\" y=\"\(Self.n(y))\" width=\"\(Self.n(max(width, 0)))\""
                + " height=\"\(Self.n(max(height, 0)))\"\(fade)>\(title)</rect>")
    }

    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
        parts.append(
            "<line class=\"\(style)\" x1=\"\(Self.n(x1))\" y1=\"\(Self.n(y1))\""
                + " x2=\"\(Self.n(x2))\" y2=\"\(Self.n(y2))\"/>"
        )
    }

    mutating func path(_ points: [(x: Double, y: Double)], closed: Bool, _ style: String) {
        guard !points.isEmpty else { return }
        let steps = points.map { "\(Self.n($0.x)) \(Self.n($0.y))" }.joined(separator: " L ")
        parts.append("<path class=\"\(style)\" d=\"M \(steps)\(closed ? " Z" : "")\"/>")
    }

    enum Anchor: String { case start, middle, end }

    mutating func label(_ x: Double, _ y: Double, _ text: String, _ anchor: Anchor = .start, _ style: String = "label")
    {
        parts.append(
            "<text class=\"\(style)\" x=\"\(Self.n(x))\" y=\"\(Self.n(y))\" text-anchor=\"\(anchor.rawValue)\">"
                + "\(Html.escaped(text))</text>")
    }

    private static func n(_ value: Double) -> String { Figures.fixed(value.isFinite ? value : 0, decimals: 1) }
}

enum Html {
    /// Text as it is, wherever it stands in a page.
    static func escaped(_ text: String) -> String {
        text.printable.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
    }

    /// A table of text; numbers, the columns named in `right`, to the right.
    static func table(_ headings: [String], _ rows: [[String]], right: Set<Int>) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            let texts = cells.enumerated().map { index, cell in
                "<\(tag)\(right.contains(index) ? " class=\"number\"" : "")>\(escaped(cell))</\(tag)>"
            }
            return "<tr>\(texts.joined())</tr>"
        }
        return "<table>\n\(row(headings, "th"))\n\(rows.map { row($0, "td") }.joined(separator: "\n"))\n</table>"
    }
}
