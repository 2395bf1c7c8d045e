/// A short text put together in room the caller owns, always NUL-terminated; what does not fit is cut and noticed.
struct PathText {
    private let room: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private(set) var count = 0
    /// False once something did not fit.
    private(set) var isWhole = true

    init(_ room: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.room = room
        self.capacity = capacity
        if capacity > 0 { room[0] = 0 }
    }

    /// The text so far, as C reads it.
    var text: UnsafePointer<CChar> { UnsafePointer(OpaquePointer(room)) }

    mutating func append(byte: UInt8) {
        guard count &+ 1 < capacity else {
            isWhole = false
            return
        }
        room[count] = byte
        count &+= 1
        room[count] = 0
    }

    mutating func append(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { append(byte: text.utf8Start[index]) }
    }

    mutating func append(_ text: UnsafePointer<UInt8>) {
        var at = 0
        while text[at] != 0 {
            append(byte: text[at])
            at &+= 1
        }
    }

    mutating func append(_ number: UInt64) {
        var digits: InlineArray<20, UInt8> = InlineArray(repeating: 0)
        var count = 0
        var rest = number
        repeat {
            digits[unchecked: count] = UInt8(truncatingIfNeeded: rest % 10) &+ 48
            rest /= 10
            count &+= 1
        } while rest > 0 && count < 20
        while count > 0 {
            count &-= 1
            append(byte: digits[unchecked: count])
        }
    }
}
