import PmemDeviceFormat
import PmemShim

extension DeviceFile {
    /// Both copies, as they are. A copy that cannot be read (a media error) is a broken one.
    func superblocks() throws -> SuperblockPair {
        SuperblockPair(first: copy(at: Superblock.offsets[0]), second: copy(at: Superblock.offsets[1]))
    }

    private func copy(at offset: UInt64) -> SuperblockPair.Copy {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Superblock.size, alignment: 8)
        defer { buffer.deallocate() }
        do {
            let count = (try? read(into: buffer, at: offset)) ?? 0
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            return .whole(try Superblock(parsing: bytes, deviceSize: size))
        } catch {
            return .broken(error)
        }
    }

    /// What the device is.
    /// - Throws: a `Complaint` that says what is wrong with both copies.
    func superblock() throws -> (superblock: Superblock, pair: SuperblockPair) {
        let pair = try superblocks()
        guard let superblock = pair.superblock else {
            throw Complaint(.failure, "\(path.string.printable): \(pair.complaint)")
        }
        return (superblock, pair)
    }

    /// Writes both copies, one after the other, each made durable before the next is touched: whenever this ends, one
    /// of the two is whole.
    func write(_ superblock: Superblock) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Superblock.size, alignment: 8)
        defer { buffer.deallocate() }
        guard superblock.write(to: buffer) else { throw Complaint(.failure, "the superblock does not fit its place") }
        for offset in Superblock.offsets {
            try write(UnsafeRawBufferPointer(buffer), at: offset)
            try synchronise()
        }
    }
}

extension SuperblockPair {
    /// Why there is no superblock.
    var complaint: String {
        guard case .broken(let one) = first, case .broken(let two) = second else { return "the superblocks are whole" }
        if one.field == .magic, two.field == .magic {
            return one.problem == .truncated
                ? "too small to hold a superblock: \(one.description)"
                : "not a pmemshim device: neither copy of the superblock has the magic number"
        }
        return "no usable superblock: first copy: \(one.description); second copy: \(two.description)"
    }
}

extension SuperblockError: CustomStringConvertible {
    package var description: String {
        let name = "\(field.name)"
        switch problem {
        case .truncated: return "\(name): the device ends after \(found) bytes of the superblock's \(expected)"
        case .wrong where field == .magic || field == .checksum:
            return "\(name) is \(hexadecimal(found)), not \(hexadecimal(expected))"
        case .wrong: return "\(name) is \(found), not \(expected)"
        case .newer: return "\(name) is \(found); this shimctl knows \(expected) at the most"
        case .beyondDevice: return "\(name) is \(found), but the device has only \(expected) bytes"
        case .absurd: return "\(name) is \(found), which no device can have"
        }
    }

    private func hexadecimal(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
}

extension Superblock.Identifier: CustomStringConvertible {
    /// As RFC 9562 writes it.
    package var description: String {
        let digits = [high, low].map { word in
            String(repeating: "0", count: word.leadingZeroBitCount / 4).suffix(16)
                + (word == 0 ? "" : String(word, radix: 16))
        }.joined()
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }

    /// A random one: version 4, variant 10.
    static func random() -> Self {
        Self(
            high: UInt64.random(in: 0...UInt64.max) & ~0xf000 | 0x4000,
            low: UInt64.random(in: 0...UInt64.max) & ~(3 << 62) | 2 << 62)
    }

    init?(_ text: String) {
        let digits = text.filter { $0 != "-" }
        guard digits.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}
