/// One line of /proc/self/mountinfo (proc(5)): what the engine and shimctl ask of it.
///
///     36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
///     (1)(2)(3)   (4)   (5)      (6)      (7)   (8) (9)   (10)         (11)
package struct MountInfo {
    /// Field 1.
    package let identifier: UInt64
    /// Field 3: major and minor number of the file system's device, with a colon between them.
    package let device: UnsafeBufferPointer<UInt8>
    /// Field 4: which directory of the file system is mounted; escaped as field 5.
    package let root: UnsafeBufferPointer<UInt8>
    /// Field 5, as the kernel escapes it (space as \040).
    package let point: UnsafeBufferPointer<UInt8>
    /// Field 9.
    package let type: UnsafeBufferPointer<UInt8>
    /// Field 10, escaped as field 5.
    package let source: UnsafeBufferPointer<UInt8>
    /// Field 11.
    package let options: UnsafeBufferPointer<UInt8>

    /// The mount with that id in `text`, which may end within a line (that line is not found).
    static func find(_ identifier: UInt64, in text: UnsafeBufferPointer<UInt8>) -> MountInfo? {
        guard let start = text.baseAddress else { return nil }
        var lineStart = 0
        var at = 0
        while at < text.count {
            if text[at] == newline {
                let line = UnsafeBufferPointer(start: start + lineStart, count: at &- lineStart)
                if let found = MountInfo(line, wanted: identifier) { return found }
                lineStart = at &+ 1
            }
            at &+= 1
        }
        return nil
    }

    /// - Parameters:
    ///   - line: without its newline; the fields point into it.
    ///   - wanted: the mount id it must have; nothing: any.
    package init?(_ line: UnsafeBufferPointer<UInt8>, wanted: UInt64? = nil) {
        var fields = Fields(line)
        guard let first = fields.next(), let identifier = decimal(first), identifier == wanted ?? identifier,
            fields.next() != nil, let device = fields.next(), let root = fields.next(), let point = fields.next()
        else { return nil }
        // Optional fields end with a single hyphen.
        while let field = fields.next() {
            guard field.count == 1, field[0] == hyphen else { continue }
            guard let type = fields.next(), let source = fields.next(), let options = fields.next() else { return nil }
            self.identifier = identifier
            self.device = device
            self.root = root
            self.point = point
            self.type = type
            self.source = source
            self.options = options
            return
        }
        return nil
    }

    /// Whether the file system may hold pages larger than the base page: tmpfs with any huge= option but never.
    var mayUseHugePages: Bool {
        var at = 0
        while at < options.count {
            var end = at
            while end < options.count, options[end] != comma { end &+= 1 }
            if starts(at, "huge="), !starts(at, "huge=never") { return true }
            at = end &+ 1
        }
        return false
    }

    private func starts(_ at: Int, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard at &+ count <= options.count else { return false }
        for index in 0..<count where options[at &+ index] != prefix.utf8Start[index] { return false }
        return true
    }
}

/// Space-separated fields of a line.
private struct Fields {
    private let line: UnsafeBufferPointer<UInt8>
    private var at = 0

    init(_ line: UnsafeBufferPointer<UInt8>) { self.line = line }

    mutating func next() -> UnsafeBufferPointer<UInt8>? {
        guard at < line.count, let start = line.baseAddress else { return nil }
        var end = at
        while end < line.count, line[end] != space { end &+= 1 }
        let field = UnsafeBufferPointer(start: start + at, count: end &- at)
        at = end &+ 1
        return field
    }
}

private let space: UInt8 = 32
private let comma: UInt8 = 44
private let hyphen: UInt8 = 45
