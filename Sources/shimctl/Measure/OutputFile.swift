import FoundationEssentials
import Glibc
import SystemPackage

/// What a program has printed, by size and checksum.
struct OutputDigest: Equatable {
    let bytes: UInt64
    /// FNV-1a, 64 bits: two outputs that differ have the same one by chance only.
    let checksum: UInt64
}

/// A file without a name that takes a program's output.
struct OutputFile {
    let descriptor: FileDescriptor

    init() throws {
        var template = Array("/tmp/pmemshim-output.XXXXXX".utf8CString)
        let raw = mkstemp(&template)
        guard raw >= 0, fcntl(raw, F_SETFD, FD_CLOEXEC) == 0 else {
            throw Complaint(.failure, "no file for the program's output can be made in /tmp: \(Errno(rawValue: errno))")
        }
        _ = unlink(template)
        descriptor = FileDescriptor(rawValue: raw)
    }

    func close() { try? descriptor.close() }

    func digest() throws -> OutputDigest {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var bytes: UInt64 = 0
        var checksum: UInt64 = 0xcbf2_9ce4_8422_2325
        while true {
            let count = try DeviceFile.complaining("the program's output") {
                try buffer.withUnsafeMutableBytes { try descriptor.fill($0, at: Int64(bytes)) }
            }
            for byte in buffer.prefix(count) { checksum = (checksum ^ UInt64(byte)) &* 0x100_0000_01b3 }
            bytes += UInt64(count)
            if count < buffer.count { return OutputDigest(bytes: bytes, checksum: checksum) }
        }
    }
}
