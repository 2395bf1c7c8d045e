import Foundation
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A private directory (mode 0700), removed with all it holds when closed or forgotten.
public final class ScratchDirectory {
    public let path: String
    private var isOpen = true

    /// - Parameter parent: where to make it; by default the system's directory for temporary files.
    public init(in parent: String = "/tmp") throws {
        var template = Array("\(parent)/pmemshim-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { close() }

    public func close() {
        guard isOpen else { return }
        isOpen = false
        try? FileManager.default.removeItem(atPath: path)
    }
}
