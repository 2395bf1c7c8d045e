import FoundationEssentials
import Glibc

/// Files that the kernel writes to without changing their times: what it swaps to, and the quota files of old.
struct SilentFiles {
    private var files: [(device: dev_t, inode: ino_t)] = []
    /// One of them is not seen from here: it may be any.
    private var isAny = false

    init() {
        // "Filename Type Size Used Priority", names escaped as those of mounts.
        let lines = (ProcFile.contents("/proc/swaps") ?? Data()).split(separator: UInt8(ascii: "\n")).dropFirst()
        for line in lines {
            let words = line.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") })
            guard words.count >= 2, words[1].elementsEqual("file".utf8) else { continue }
            var facts = stat()
            if stat(MountEntry.unescaped(words[0]), &facts) == 0 {
                files.append((facts.st_dev, facts.st_ino))
            } else {
                isAny = true
            }
        }
    }

    /// - Parameter device: as st_dev of stat(2).
    func contains(_ device: dev_t, _ inode: ino_t) -> Bool {
        isAny || files.contains { $0.device == device && $0.inode == inode }
    }

    /// Whether a name in the root directory may be one of ext4's with usrjquota=, grpjquota= or without a journal.
    static func isQuota(_ name: String) -> Bool {
        name.hasPrefix("aquota.") || name == "quota.user" || name == "quota.group"
    }
}
