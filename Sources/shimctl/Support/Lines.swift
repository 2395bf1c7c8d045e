extension String {
    /// Its lines with what else ends them than a newline, so that joined they are what they were.
    var wholeLines: [String] {
        utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { String(Substring($0)) }
    }

    /// Its lines without what ends them, be it a newline or, as files of other systems have it, a carriage return and a
    /// newline. To Swift those two are one character, which `split(separator: "\n")` does not find.
    var lines: [String] {
        utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            let text = Substring(line)
            return String(text.utf8.last == UInt8(ascii: "\r") ? Substring(line.dropLast()) : text)
        }
    }
}
