extension String {
    /// Text from outside (a path, a process's name), fit for a terminal: control characters, which could move the
    /// cursor or recolour it, are written as `\u{N}`, and invalid UTF-8 as the replacement character.
    init(printable bytes: some Sequence<UInt8>) {
        self = String(decoding: Array(bytes), as: UTF8.self).printable
    }

    /// This text with control and formatting characters written as `\u{N}`.
    var printable: String {
        var result = ""
        for scalar in unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension StringProtocol {
    /// This text without blanks, tabs and newlines at its beginning and end.
    var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}
