/// A number of bytes as people write it: digits, and K, M or G behind them for 1,024 of the next smaller.
package enum ByteCount {
    /// Nothing: it is none, or 2^63 or more.
    package static func parse(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
        guard let last = text.last else { return nil }
        let shift: UInt64
        switch last {
        case 75: shift = 10  // K
        case 77: shift = 20  // M
        case 71: shift = 30  // G
        default: shift = 0
        }
        let digits = UnsafeBufferPointer(rebasing: text[..<(shift == 0 ? text.count : text.count &- 1)])
        guard let number = decimal(digits), number <= UInt64(Int64.max) >> shift else { return nil }
        return number << shift
    }
}
