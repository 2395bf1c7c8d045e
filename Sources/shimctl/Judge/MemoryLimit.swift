import FoundationEssentials
import Glibc
import PmemShim

/// The least limit of a process's memory cgroup and those above it (cgroups(7)).
struct MemoryLimit {
    /// The file that says it.
    let path: String
    let bytes: UInt64

    static var ofThisProcess: MemoryLimit? { MemoryLimit(ofProcess: "self") }

    /// - Parameter process: `self`, or a number.
    /// - Returns: nothing where there is no limit, or /proc and /sys do not tell.
    init?(ofProcess process: String) {
        let text = ProcFile.contents("/proc/\(process)/cgroup") ?? Data()
        let places = Array(text).withUnsafeBufferPointer { bytes -> (path: String, isUnified: Bool)? in
            MemoryCgroup(bytes).map { (String(decoding: $0.path, as: UTF8.self), $0.isUnified) }
        }
        guard let places else { return nil }
        let root = places.isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
        let file = places.isUnified ? "memory.max" : "memory.limit_in_bytes"
        var path = Substring(places.path)
        var least: MemoryLimit?
        while true {
            while path.last == "/" { path = path.dropLast() }
            let name = "\(root)\(path)/\(file)"
            let value = ProcFile.contents(name).map { String(decoding: $0, as: UTF8.self).trimmed }
            // Version 1 has a number of about 2^63 for none, version 2 the word max.
            if let bytes = value.flatMap({ UInt64($0) }), bytes < 1 << 60, bytes < least?.bytes ?? .max {
                least = MemoryLimit(path: name, bytes: bytes)
            }
            guard let slash = path.lastIndex(of: "/") else { break }
            path = path[..<slash]
        }
        guard let least else { return nil }
        self = least
    }

    private init(path: String, bytes: UInt64) {
        self.path = path
        self.bytes = bytes
    }
}
