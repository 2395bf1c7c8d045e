import CMirror

/// A page that nothing was ever written to.
final class ZeroPage {
    private let bytes: UnsafeMutableRawBufferPointer
    let checksum: UInt32

    /// - Parameter size: bytes of a page.
    init(_ size: Int) {
        bytes = .allocate(byteCount: size, alignment: 4_096)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        checksum = bytes.baseAddress.map { cmirror_checksum($0, size) } ?? 0
    }

    deinit { bytes.deallocate() }

    func isEqual(_ page: UnsafeMutableRawBufferPointer) -> Bool { PageCopier.isEqual(bytes, page) }
}
