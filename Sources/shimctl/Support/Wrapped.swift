/// Prose in lines.
enum Wrapped {
    /// `text` in lines of at most `width` columns, each begun with `indent` blanks. A word that is longer has a line of
    /// its own.
    static func lines(_ text: String, _ indent: Int, _ width: Int) -> [String] {
        let blanks = String(repeating: " ", count: indent)
        var lines: [String] = []
        for word in text.split(whereSeparator: \.isWhitespace) {
            if let last = lines.last, last.count + 1 + word.count <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(blanks + word)
            }
        }
        return lines
    }
}
