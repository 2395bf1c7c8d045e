import CShimSys
import FoundationEssentials
import Glibc
import PmemShim
import SystemPackage

/// What the page arrays, in DRAM and on attached devices, say about files: gathered by file and by 2 MiB of it.
struct HeatSnapshot {
    /// Samples of 2 MiB of a file.
    struct Group {
        var reads: UInt64 = 0
        var writes: UInt64 = 0
        var allocated: UInt64 = 0
        var bad: UInt64 = 0

        var samples: UInt64 { reads.saturatingAdd(writes) }
    }

    struct File {
        let device: UInt64
        let inode: UInt64
        /// Its name when it was first met; empty where nobody has said.
        var path: String
        /// Name of the attached device whose arrays these are; nothing: they are in DRAM.
        let attachment: String?
        /// By number: the first is 0.
        var groups: [UInt64: Group] = [:]

        var total: Group {
            groups.values.reduce(into: Group()) {
                $0.reads = $0.reads.saturatingAdd($1.reads)
                $0.writes = $0.writes.saturatingAdd($1.writes)
                $0.allocated += $1.allocated
                $0.bad += $1.bad
            }
        }
        /// Whether the file of that name is still this one.
        var isThere: Bool {
            var found = stat()
            return lstat(path, &found) == 0 && found.st_ino == inode
                && UInt64(DeviceNumber(found.st_dev).major) << 32 | UInt64(DeviceNumber(found.st_dev).minor) == device
        }
    }

    /// With samples, the hottest first.
    private(set) var files: [File] = []

    mutating func keep(_ isWanted: (File) -> Bool) { files.removeAll { !isWanted($0) } }

    static func read(in place: RuntimePlace) throws -> HeatSnapshot {
        var gathered: [Key: File] = [:]
        var names: [Key: String] = [:]
        if let pages = try PagesFile.open(in: place) {
            defer { pages.close() }
            for slot in try pages.slots() {
                let key = Key(device: slot.device, inode: slot.inode, birth: slot.birth)
                names[Key(device: slot.device, inode: slot.inode, birth: 0)] = slot.path
                try slot.scan(pages).forEachReadyGroup { first, array in
                    // A number beyond what a file can have is a scribbler's.
                    guard slot.section < 1 << 36 else { return }
                    let group = slot.section * 64 + first / UInt64(PS_DEVICE_GROUP_PAGES)
                    var file =
                        gathered[key]
                        ?? File(device: slot.device, inode: slot.inode, path: slot.path, attachment: nil)
                    for page in 0..<array.pageCount { file.groups[group, default: Group()].add(array, page) }
                    gathered[key] = file
                }
            }
        }
        for attachment in try Registry.all() where attachment.isCurrent {
            try gather(attachment, names, &gathered)
            name(&gathered, on: attachment)
        }
        var snapshot = HeatSnapshot()
        snapshot.files = gathered.values.filter { $0.total.samples > 0 }.sorted {
            ($1.total.samples, $0.path, $0.inode) < ($0.total.samples, $1.path, $1.inode)
        }
        return snapshot
    }

    private struct Key: Hashable {
        let device: UInt64
        let inode: UInt64
        let birth: Int64
    }

    /// Files on an attached device are known by their inodes: their names are looked for where it is mounted.
    private static func name(_ gathered: inout [Key: File], on attachment: Attachment) {
        var nameless = Set(gathered.filter { $1.attachment == attachment.name && $1.path.isEmpty }.keys)
        for point in attachment.mountPoints where !nameless.isEmpty {
            var looked = 0
            var directories = [point]
            while let directory = directories.popLast() {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
                for name in names where looked < mostNames && !nameless.isEmpty {
                    looked += 1
                    var found = stat()
                    let path = "\(directory)/\(name)"
                    guard lstat(path, &found) == 0 else { continue }
                    if found.st_mode & S_IFMT == S_IFDIR { directories.append(path) }
                    for key in nameless where key.inode == UInt64(found.st_ino) {
                        gathered[key]?.path = path
                        nameless.remove(key)
                    }
                }
            }
        }
    }

    /// Files of a mount whose names are looked at: some seconds.
    private static let mostNames = 500_000

    /// Pages of an attached device, by their owners. One whose arrays this user may not read is left out.
    private static func gather(
        _ attachment: Attachment, _ names: [Key: String], _ gathered: inout [Key: File]
    ) throws {
        guard
            let descriptor = try? FileDescriptor.open(
                FilePath(attachment.pagesPath), .readOnly, options: [.closeOnExec])
        else { return }
        defer { try? descriptor.close() }
        let device = UInt64(attachment.data.major) << 32 | UInt64(attachment.data.minor)
        let pageSize = UInt64(max(attachment.pageSize, 4_096))
        let scan = GroupScan(
            descriptor: descriptor, start: 0, pageCount: attachment.dataSize / pageSize,
            tag: UInt32(truncatingIfNeeded: attachment.generation))
        try scan.forEachReadyGroup { _, array in
            for page in 0..<array.pageCount {
                guard let owner = array.owner(of: page), owner.index < 1 << 47 else { continue }
                let key = Key(device: device, inode: owner.inode, birth: 0)
                var file =
                    gathered[key]
                    ?? File(device: device, inode: owner.inode, path: names[key] ?? "", attachment: attachment.name)
                file.groups[owner.index * (pageSize / 4_096) / UInt64(PS_DEVICE_GROUP_PAGES), default: Group()]
                    .add(array, page)
                gathered[key] = file
            }
        }
    }
}

extension HeatSnapshot.Group {
    mutating func add(_ array: PageArray, _ page: UInt64) {
        reads = reads.saturatingAdd(UInt64(array.reads(of: page)))
        writes = writes.saturatingAdd(UInt64(array.writes(of: page)))
        let flags = array.flags(of: page)
        if flags.contains(.allocated) { allocated += 1 }
        if flags.contains(.bad) { bad += 1 }
    }
}
