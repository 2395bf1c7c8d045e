import Glibc

/// Text from outside that is not UTF-8. A Swift string has other characters in the place of such bytes: as a path it
/// would name another file. So it is refused where it is an argument or a setting of ours.
enum ForeignBytes {
    /// - Parameter words: how many at the end of the argument vector are those of a program, which gets them as they
    ///   are.
    /// - Throws: a `Complaint` for the first argument of our own that is not UTF-8.
    static func refuse(inArgumentsBefore words: Int) throws {
        for index in 1..<max(Int(CommandLine.argc) - words, 1) {
            if let word = CommandLine.unsafeArgv[index] { try refuse(word, "argument \(index)") }
        }
    }

    /// - Throws: a `Complaint` for the first variable that is wanted and not UTF-8, in its name or in its value.
    static func refuse(inVariables isWanted: (_ name: String) -> Bool) throws {
        var next = environ
        while let variable = next.pointee {
            next += 1
            let name = String(decoding: bytes(of: variable).prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            if isWanted(name) { try refuse(variable, "the environment") }
        }
    }

    /// - Throws: a `Complaint` where this text is not UTF-8.
    static func refuse(_ text: UnsafePointer<CChar>, _ origin: String) throws {
        guard String(validatingCString: text) == nil else { return }
        throw Complaint(.usage, "\(origin): \"\(shown(bytes(of: text)))\" is not UTF-8, as names have to be here")
    }

    private static func bytes(of text: UnsafePointer<CChar>) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }

    /// Fit for a terminal: each byte that is part of no character is written as `\xNN`.
    private static func shown(_ bytes: [UInt8]) -> String {
        var result = ""
        var parser = Unicode.UTF8.ForwardParser()
        var rest = bytes.makeIterator()
        var at = 0
        while true {
            switch parser.parseScalar(from: &rest) {
            case .valid(let units):
                result += String(decoding: bytes[at..<at + units.count], as: UTF8.self).printable
                at += units.count
            case .error(let length):
                for byte in bytes[at..<at + length] { result += "\\x" + String(byte, radix: 16) }
                at += length
            case .emptyInput: return result
            }
        }
    }
}

/// A command that hands the last words of the argument vector on to a program.
protocol ProgramStarter {
    /// How many.
    var programWordCount: Int { get }
}
