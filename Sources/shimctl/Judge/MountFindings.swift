import FoundationEssentials
import Glibc
import SystemPackage

/// What can be expected of a directory.
struct MountFindings {
    let item: MountItem

    private var path: String { item.directory.string }

    var all: [Finding] {
        guard let found = try? Stat(item.directory), found.type == .directory else {
            return [
                Finding(
                    .error, path, "is not a directory, or cannot be entered",
                    cure: "the library leaves it out without a word: name one that is there before the program starts")
            ]
        }
        guard let mount = FileSystemInfo.mount(of: item.directory) else {
            return [Finding(.note, path, "/proc does not tell what it is mounted from")]
        }
        return [backing(mount)] + tmpfs(mount) + dax(mount) + space
    }

    /// Those among them that something is to be done about.
    var problems: [Finding] { all.filter { $0.level == .warning || $0.level == .error } }

    private func backing(_ mount: MountEntry) -> Finding {
        let info = FileSystemInfo(type: mount.type, isDAX: mount.isDAX)
        let place = "\(mount.type), mounted on \(mount.point)"
        switch info.servability {
        case .served where mount.isDAX:
            return Finding(.ok, path, "\(place) with DAX: served without being named; a served write is durable")
        case .served: return Finding(.ok, path, "\(place): served")
        case .optIn where item.pagecache:
            return Finding(
                .ok, path, "\(place): served through the page cache; durability is the kernel's (fsync as before)")
        case .optIn:
            let isAttached = ((try? Registry.all()) ?? []).contains { $0.mountPoints.contains(mount.point) }
            if isAttached { return Finding(.ok, path, "\(place), an attached device: served without being named") }
            return Finding(
                .error, path, "\(place) is neither tmpfs nor mounted with DAX: not served as it is named",
                cure: "name it \(path):pagecache to have it served through the page cache")
        case .never(let why):
            return Finding(.error, path, "\(place) is never served: \(why)", cure: "use tmpfs, or ext4 or xfs with DAX")
        }
    }

    /// What was measured of huge= (docs/benchmarks.md, huge rows).
    private func tmpfs(_ mount: MountEntry) -> [Finding] {
        guard mount.type == "tmpfs" else { return [] }
        var findings: [Finding] = []
        switch mount.option("huge") {
        case "always":
            findings.append(
                Finding(
                    .note, path,
                    "huge=always: large files are appended to natively 2 to 4 times as fast, but each small file"
                        + " takes 2 MiB (SQLite's delete mode: 110 us a transaction became 175)"))
        case "within_size":
            findings.append(Finding(.note, path, "huge=within_size gains where writes are larger than 64 KiB"))
        default:
            findings.append(
                Finding(
                    .note, path, "pages of 4 KiB",
                    cure: "where files are large and few: mount -o remount,huge=always \(mount.point)"))
        }
        if !mount.options.contains("noswap"), Self.hasSwap {
            findings.append(
                Finding(
                    .note, path, "its pages may be swapped out", cure: "mount with noswap (Linux 6.4), or swapoff"))
        }
        return findings
    }

    private static var hasSwap: Bool {
        let text = String(decoding: ProcFile.contents("/proc/swaps") ?? Data(), as: UTF8.self)
        return text.split(separator: "\n").count > 1
    }

    private func dax(_ mount: MountEntry) -> [Finding] {
        guard mount.isDAX else { return [] }
        var findings: [Finding] = []
        let start = ProcFile.contents("/sys/dev/block/\(mount.device)/start")
            .flatMap { UInt64(String(decoding: $0, as: UTF8.self).trimmed) }
        if let start, start % 4_096 != 0 {
            findings.append(
                Finding(
                    .warning, path,
                    "its partition begins at sector \(start), which is no multiple of 2 MiB: no huge pages",
                    cure: "align the partition to 2 MiB"))
        }
        let features = Processor.features
        let flush = ["clwb", "clflushopt"].first(where: features.contains) ?? "clflush"
        findings.append(Finding(flush == "clflush" ? .warning : .ok, path, "cache lines are written back by \(flush)"))
        return findings
    }

    private var space: [Finding] {
        guard let space = FileSystemSpace(of: item.directory), space.total > 0 else { return [] }
        let text = "\(Figures.bytes(space.free)) of \(Figures.bytes(space.total)) free"
        return [Finding(space.free < space.total / 50 ? .warning : .ok, path, text)]
    }
}
