import FoundationEssentials
import PmemShim

/// A mount of this process's mount namespace, as a line of /proc/self/mountinfo tells it (proc_pid_mountinfo(5)).
struct MountEntry {
    let identifier: UInt64
    /// Number of its file system's device: `7:0`.
    let device: String
    /// Where it is mounted, and what: spaces and the like are escaped by the kernel.
    let point: String
    let source: String
    /// As the kernel names it: `tmpfs`, `ext4`, `fuse.sshfs`.
    let type: String
    /// Mounted with `dax`, `dax=always` or `dax=inode`: all files, or those with the attribute, are found by the shim
    /// without being named.
    let isDAX: Bool

    /// All of them; empty where /proc does not tell.
    static var all: [MountEntry] {
        let table = FileManager.default.contents(atPath: "/proc/self/mountinfo") ?? Data()
        return table.split(separator: UInt8(ascii: "\n")).compactMap { line in
            Array(line).withUnsafeBufferPointer { MountInfo($0).map(MountEntry.init) }
        }
    }

    private init(_ line: MountInfo) {
        identifier = line.identifier
        device = String(decoding: line.device, as: UTF8.self)
        point = String(decoding: line.point, as: UTF8.self)
        source = String(decoding: line.source, as: UTF8.self)
        type = String(decoding: line.type, as: UTF8.self)
        isDAX = String(decoding: line.options, as: UTF8.self).split(separator: ",")
            .contains { $0 == "dax" || $0 == "dax=always" || $0 == "dax=inode" }
    }
}
