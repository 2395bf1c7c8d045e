import FoundationEssentials
import Glibc

/// /etc/ld.so.cache, in the format of glibc 2.2 and later (sysdeps/generic/dl-cache.h: struct cache_file_new), which no
/// library reads.
struct LoaderCache {
    private var paths: [String: String] = [:]

    /// Empty if there is no cache or it is of a format that is not understood.
    static let system = LoaderCache(FileManager.default.contents(atPath: "/etc/ld.so.cache") ?? Data())

    /// Where the library called `name` is.
    func path(of name: String) -> String? { paths[name] }

    init(_ data: Data) {
        let magic = Data("glibc-ld.so.cache1.1".utf8)
        // A file that older loaders can read as well has theirs first, and this one behind it.
        guard let start = data.firstRange(of: magic)?.lowerBound else { return }
        let bytes = [UInt8](data[start...])
        let entrySize = 24
        let headerSize = 48
        guard let count = Self.number(bytes, at: 20) else { return }
        for index in 0..<min(count, bytes.count / entrySize) {
            let offset = headerSize + index * entrySize
            guard let flags = Self.number(bytes, at: offset),
                let key = Self.number(bytes, at: offset + 4), let value = Self.number(bytes, at: offset + 8),
                let low = Self.number(bytes, at: offset + 16), let high = Self.number(bytes, at: offset + 20)
            else { return }
            // FLAG_ELF_LIBC6 | FLAG_X8664_LIB64. Variants for newer processors (glibc-hwcaps) have a hwcap; the plain
            // library stands for them: it imports the same.
            guard flags & 0xffff == 0x0303, low == 0, high == 0 else { continue }
            guard let name = Self.text(bytes, at: key), let path = Self.text(bytes, at: value) else { continue }
            // The first one counts, as for ld.so.
            if paths[name] == nil { paths[name] = path }
        }
    }

    private static func number(_ bytes: [UInt8], at offset: Int) -> Int? {
        guard offset >= 0, offset + 4 <= bytes.count else { return nil }
        return (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << ($1 * 8) }
    }

    private static func text(_ bytes: [UInt8], at offset: Int) -> String? {
        guard offset < bytes.count, let end = bytes[offset...].firstIndex(of: 0) else { return nil }
        return String(decoding: bytes[offset..<end], as: UTF8.self)
    }
}
