import Glibc
import SystemPackage

/// The lines of a file, read one after the other: no more of it is held than one line and a buffer.
struct LineStream {
    struct Line {
        /// Counted from 1.
        let number: Int
        /// Without the newline.
        let bytes: ArraySlice<UInt8>
        /// A newline is behind it.
        let isWhole: Bool
    }

    struct TooLong: Error {
        /// Of the line.
        let number: Int
    }

    private let file: FileDescriptor
    private let mostBytes: Int
    private var held: [UInt8] = []
    /// Of what is held, where the next line begins, and up to where there is no newline in it.
    private var begin = 0
    private var searched = 0
    private var number = 0
    private var isAtEnd = false

    private static let bufferSize = 256 << 10

    /// - Parameter mostBytes: of a line; a longer one ends the stream with an error.
    init(_ file: FileDescriptor, mostBytes: Int) {
        self.file = file
        self.mostBytes = mostBytes
    }

    /// - Returns: nothing at the end of the file.
    mutating func next() throws -> Line? {
        while true {
            if let end = newline() { return line(upTo: end, isWhole: true) }
            guard !isAtEnd else { return begin < held.count ? line(upTo: held.count, isWhole: false) : nil }
            guard held.count - begin <= mostBytes else { throw TooLong(number: number + 1) }
            try fill()
        }
    }

    private mutating func line(upTo end: Int, isWhole: Bool) -> Line {
        defer { begin = min(end + 1, held.count) }
        searched = min(end + 1, held.count)
        number += 1
        return Line(number: number, bytes: held[begin..<end], isWhole: isWhole)
    }

    private mutating func newline() -> Int? {
        let from = searched
        searched = held.count
        return held.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, from < bytes.count,
                let found = memchr(base + from, 0x0a, bytes.count - from)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    private mutating func fill() throws {
        held.removeSubrange(..<begin)
        searched -= begin
        begin = 0
        let used = held.count
        held.append(contentsOf: repeatElement(0, count: Self.bufferSize))
        let count = try held.withUnsafeMutableBytes { bytes in
            try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[used...]))
        }
        held.removeLast(Self.bufferSize - count)
        isAtEnd = count == 0
    }
}
