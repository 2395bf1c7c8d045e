import FoundationEssentials
import Glibc

/// The files that the kernel swaps to, which it changes without changing their times.
struct SwapFiles {
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

    func contains(_ facts: stat) -> Bool {
        isAny || files.contains { $0.device == facts.st_dev && $0.inode == facts.st_ino }
    }
}
