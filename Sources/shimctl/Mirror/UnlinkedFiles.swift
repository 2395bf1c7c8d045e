import FoundationEssentials
import Glibc
import SystemPackage

/// Files without a name that are still open, or mapped: no scan of directories finds them, and no crash leaves them.
enum UnlinkedFiles {
    /// Pages of the device that they lie in, as far as this process sees the others.
    static func pages(_ primary: Primary) -> PageRanges {
        guard let mount = primary.mount, let device = try? Stat(mount.scan.root).rawValue.st_dev else {
            return PageRanges()
        }
        var seen: Set<UInt64> = []
        var pages: [Range<UInt64>] = []
        for process in entries("/proc") where process.allSatisfy(\.isNumber) {
            for folder in ["/proc/\(process)/fd", "/proc/\(process)/map_files"] {
                for name in entries(folder) {
                    var facts = stat()
                    guard stat("\(folder)/\(name)", &facts) == 0, facts.st_dev == device, facts.st_nlink == 0,
                        facts.st_mode & S_IFMT == S_IFREG, seen.insert(UInt64(facts.st_ino)).inserted,
                        let extents = FileScan.extents(of: "\(folder)/\(name)", inode: UInt64(facts.st_ino))
                    else { continue }
                    pages += FileScan.pages(
                        extents, pageSize: primary.pageSize, pageCount: primary.geometry.pageCount)
                }
            }
        }
        return PageRanges(pages)
    }

    private static func entries(_ path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }
}
