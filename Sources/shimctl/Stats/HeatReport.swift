import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// Which files are hot, and which 2 MiB of them.
struct HeatReport {
    let snapshot: HeatSnapshot
    /// Only the file of this name.
    let path: String?
    /// Rows of a table; nothing: 20 files, or all of one file.
    let limit: Int?

    private let isFiltered: Bool
    private static let rows = 20
    private static let barWidth = 32
    private static let groupSize: UInt64 = 2 << 20

    /// - Parameter mount: only files below this directory.
    /// - Throws: a `Complaint` if the file asked for is not there.
    init(_ all: HeatSnapshot, path: String?, mount: FilePath?, limit: Int?) throws {
        self.path = path
        self.limit = limit
        let snapshot = mount.map { all.filtered(below: $0) } ?? all
        isFiltered = !all.files.isEmpty && mount != nil
        guard let path else {
            self.snapshot = snapshot
            return
        }
        var found = stat()
        guard stat(path, &found) == 0 else {
            throw Complaint(.failure, "\(path.printable): \(String(cString: strerror(errno)))")
        }
        let number = DeviceNumber(found.st_dev)
        let device = UInt64(number.major) << 32 | UInt64(number.minor)
        self.snapshot = snapshot.filtered { $0.device == device && $0.inode == found.st_ino }
    }

    var text: String {
        guard !snapshot.files.isEmpty else {
            guard path == nil else { return "No heat of that file." }
            return isFiltered
                ? "No heat there." : "No heat yet: no program of yours has used a served file for long."
        }
        return path == nil ? fileTable : snapshot.files.map(groupTable).joined(separator: "\n\n")
    }

    private var fileTable: String {
        var table = Table(.text("File"), .number("Reads"), .number("Writes"), .number("Hottest at"), .text(""))
        let most = snapshot.files.map(\.total.samples).max() ?? 0
        for file in snapshot.files.prefix(limit ?? Self.rows) {
            let total = file.total
            let hottest = file.groups.max { ($0.value.samples, $1.key) < ($1.value.samples, $0.key) }
            table.add(
                Self.name(file), Figures.count(total.reads), Figures.count(total.writes),
                Figures.bytes((hottest?.key ?? 0) * Self.groupSize), Self.bar(total.samples, of: most))
        }
        let rest = snapshot.files.count - (limit ?? Self.rows)
        return table.text + (rest > 0 ? "\n... and \(rest) more files" : "")
    }

    private func groupTable(_ file: HeatSnapshot.File) -> String {
        var table = Table(.number("From"), .number("Reads"), .number("Writes"), .number("Bad pages"), .text(""))
        let most = file.groups.values.map(\.samples).max() ?? 0
        let groups = file.groups.filter { $0.value.samples > 0 || $0.value.bad > 0 }.sorted { $0.key < $1.key }
        for (number, group) in groups.prefix(limit ?? groups.count) {
            table.add(
                Figures.bytes(number * Self.groupSize), Figures.count(group.reads), Figures.count(group.writes),
                Figures.count(group.bad), Self.bar(group.samples, of: most))
        }
        let rest = groups.count - (limit ?? groups.count)
        return "\(Self.name(file).printable)\n\(table.text)" + (rest > 0 ? "\n... and \(rest) more parts" : "")
    }

    private static func name(_ file: HeatSnapshot.File) -> String {
        let device = "\(file.device >> 32):\(file.device & 0xffff_ffff)"
        guard !file.path.isEmpty else { return "inode \(file.inode) on \(file.attachment ?? device)" }
        return file.isThere ? file.path : "\(file.path) (inode \(file.inode), gone or renamed)"
    }

    /// As long as its share of the most; never empty where there is something.
    private static func bar(_ count: UInt64, of most: UInt64) -> String {
        guard count > 0, most > 0 else { return "" }
        let length = Int((Double(count) / Double(most) * Double(barWidth)).rounded(.up))
        return String(repeating: "#", count: min(max(length, 1), barWidth))
    }
}

extension HeatSnapshot {
    func filtered(_ isWanted: (File) -> Bool) -> HeatSnapshot {
        var copy = self
        copy.keep(isWanted)
        return copy
    }

    /// Files below a directory, by their names; those without a name where the directory is a mount of their device.
    func filtered(below directory: FilePath) -> HeatSnapshot {
        var found = stat()
        let isThere = directory.withPlatformString { stat($0, &found) } == 0
        let number = DeviceNumber(found.st_dev)
        let device = UInt64(number.major) << 32 | UInt64(number.minor)
        let isMountPoint = isThere && FileSystemInfo.mount(of: directory)?.point == directory.string
        return filtered { file in
            file.path.isEmpty
                ? isMountPoint && file.device == device : FilePath(file.path).starts(with: directory)
        }
    }
}

/// The document that `stats --heat --json` writes: documented in docs/shimctl.md, fields are only ever added.
extension HeatReport {
    struct Document: Encodable {
        struct File: Encodable {
            let path: String
            let device: String
            let inode: UInt64
            let present: Bool
            @Explicit var attachedDevice: String?
            let reads: UInt64
            let writes: UInt64
            let pagesAllocated: UInt64
            let pagesBad: UInt64
            let groups: [Group]
        }

        struct Group: Encodable {
            let offset: UInt64
            let reads: UInt64
            let writes: UInt64
            let pagesAllocated: UInt64
            let pagesBad: UInt64
        }

        let schema = "pmemshim.heat/1"
        let timeUnixNs: UInt64
        let runtimeDirectory: String
        let groupSize: UInt64
        let sample: UInt64
        let files: [File]
    }

    func document(directory: String) -> Document {
        Document(
            timeUnixNs: StatsSnapshot.now(), runtimeDirectory: directory, groupSize: Self.groupSize,
            sample: UInt64(PS_PAGES_SAMPLE), files: snapshot.files.map(Document.File.init))
    }
}

extension HeatReport.Document.File {
    init(_ file: HeatSnapshot.File) {
        let total = file.total
        path = file.path
        device = "\(file.device >> 32):\(file.device & 0xffff_ffff)"
        inode = file.inode
        present = file.isThere
        attachedDevice = file.attachment
        reads = total.reads
        writes = total.writes
        pagesAllocated = total.allocated
        pagesBad = total.bad
        groups = file.groups.sorted { $0.key < $1.key }.map {
            HeatReport.Document.Group(
                offset: $0.key * (2 << 20), reads: $0.value.reads, writes: $0.value.writes,
                pagesAllocated: $0.value.allocated, pagesBad: $0.value.bad)
        }
    }
}
