let newline: UInt8 = 10
let slash: UInt8 = 47

/// Bytes before the NUL.
func length(_ text: UnsafePointer<UInt8>) -> Int {
    var count = 0
    while text[count] != 0 { count &+= 1 }
    return count
}

/// The number a field spells; nothing where it is empty, too long, or has another character.
func decimal(_ field: UnsafeBufferPointer<UInt8>) -> UInt64? {
    guard field.count > 0, field.count < 20 else { return nil }
    var value: UInt64 = 0
    for byte in field {
        guard byte >= 48, byte <= 57 else { return nil }
        value = value &* 10 &+ UInt64(byte &- 48)
    }
    return value
}
