/// The bytes of a text with a closing NUL, as the engine reads its settings.
func withText<Result>(_ text: String, _ body: (UnsafeMutablePointer<UInt8>) -> Result) -> Result {
    var bytes = Array(text.utf8) + [0]
    return bytes.withUnsafeMutableBufferPointer { buffer in
        withExtendedLifetime(buffer) {
            buffer.baseAddress.map(body)
        }
    } ?? body(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))
}

/// The same as a counted buffer, without the NUL.
func withBytes<Result>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    Array(text.utf8).withUnsafeBufferPointer(body)
}

extension String {
    init(bytes: UnsafeBufferPointer<UInt8>) { self.init(decoding: bytes, as: UTF8.self) }
}
