/// What becomes of a small text.
enum LineDifference {
    /// The lines that go, with `-` before them, and those that come, with `+`: between the lines at the beginning and
    /// at the end that stay, of which none are shown.
    static func lines(from old: String, to new: String) -> [String] {
        let before = old.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let after = new.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let least = min(before.count, after.count)
        let head = zip(before, after).prefix { $0 == $1 }.count
        let tail = min(zip(before.reversed(), after.reversed()).prefix { $0 == $1 }.count, least - head)
        return before[head..<before.count - tail].map { "- " + $0.printable }
            + after[head..<after.count - tail].map { "+ " + $0.printable }
    }
}
