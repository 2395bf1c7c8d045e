import FoundationEssentials
import PmemShim

/// A mount of a process's mount namespace, as a line of /proc/PID/mountinfo tells it (proc_pid_mountinfo(5)).
///
/// Not by libmount, which knows the format as well: it would bring libselinux and libpcre2 onto every machine, for five
/// escapes and what the engine reads itself.
struct MountEntry {
    let identifier: UInt64
    /// Number of its file system's device: `7:0`.
    let device: String
    /// Whether all of its file system is mounted, and not only a directory of it.
    let isWhole: Bool
    /// Where it is mounted, and what.
    let point: String
    let source: String
    /// As the kernel names it: `tmpfs`, `ext4`, `fuse.sshfs`.
    let type: String
    /// Of the file system: `rw`, `size=65536k`, `huge=always`.
    let options: [String]

    /// Mounted with `dax`, `dax=always` or `dax=inode`: all files, or those with the attribute, are found by the shim
    /// without being named.
    var isDAX: Bool { options.contains { $0 == "dax" || $0 == "dax=always" || $0 == "dax=inode" } }

    /// The value of an option `name=value`.
    func option(_ name: String) -> String? {
        options.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    /// All of this process; empty where /proc does not tell.
    static var all: [MountEntry] { all(ofProcess: "self") }

    /// All that a process sees: `self`, or a number.
    static func all(ofProcess process: String) -> [MountEntry] {
        let table = ProcFile.contents("/proc/\(process)/mountinfo") ?? Data()
        return table.split(separator: UInt8(ascii: "\n")).compactMap { line in
            Array(line).withUnsafeBufferPointer { MountInfo($0).map(MountEntry.init) }
        }
    }

    private init(_ line: MountInfo) {
        identifier = line.identifier
        device = String(decoding: line.device, as: UTF8.self)
        isWhole = line.root.elementsEqual("/".utf8)
        point = Self.unescaped(line.point)
        source = Self.unescaped(line.source)
        type = String(decoding: line.type, as: UTF8.self)
        options = String(decoding: line.options, as: UTF8.self).split(separator: ",").map(String.init)
    }

    /// The kernel writes blanks, tabs, newlines, backslashes and `#` as a backslash and three octal digits.
    static func unescaped(_ text: some Collection<UInt8>) -> String {
        guard text.contains(UInt8(ascii: "\\")) else { return String(decoding: text, as: UTF8.self) }
        let text = Array(text)
        var result: [UInt8] = []
        var at = 0
        while at < text.count {
            let digits = text[min(at + 1, text.count)..<min(at + 4, text.count)]
            if text[at] == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
                result.append(digits.reduce(0) { $0 << 3 | ($1 & 7) })
                at += 4
            } else {
                result.append(text[at])
                at += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
