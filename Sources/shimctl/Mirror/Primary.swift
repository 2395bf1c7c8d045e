import CMirror
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// The device that a mirror is of, open to be read; mounted or not.
final class Primary {
    /// The image or block device itself.
    let file: DeviceFile
    let superblock: Superblock
    let attachment: Attachment?
    let mount: Mount?
    /// Where the kernel writes to it and to its mirror.
    let kernelMirror: KernelMirror?
    /// Its data: the attached block device, or the data area of the device itself.
    private let data: FileDescriptor
    private let dataOffset: UInt64
    /// A file system that is made of this device and another one.
    private var hasOtherDevice = false
    /// What keeps it from being mounted meanwhile, where it is not.
    private var claim: FileDescriptor?

    /// A mounted file system.
    struct Mount {
        let point: String
        let type: String
        let directFiles: DirectFiles
        let scan: FileScan
        let identity: UInt64

        /// Which of its files are mapped past the page cache (DAX). Some: by an attribute of theirs, which is what a
        /// mount without an option means since Linux 5.8.
        enum DirectFiles {
            case none, some, all

            init(_ entry: MountEntry, _ device: DeviceNumber) {
                let isAsked = entry.options.contains { $0 == "dax" || $0 == "dax=always" }
                let isPossible = Mount.tellsFiles(entry.type) && BlockSpaces.isDAX(device)
                self = isAsked ? .all : isPossible && !entry.options.contains("dax=never") ? .some : .none
            }
        }

        /// Of which files can be told where they lie on the device, and whether they have changed.
        var tellsFiles: Bool { Self.tellsFiles(type) }

        static func tellsFiles(_ type: String) -> Bool { ["ext2", "ext3", "ext4", "xfs"].contains(type) }
    }

    var geometry: DeviceGeometry { superblock.geometry }
    var pageSize: UInt64 { UInt64(geometry.pageSize) }

    /// - Parameter device: as people name it: its name, its image, its block device.
    /// - Throws: a `Complaint` where it is no primary, or is in use where this cannot see.
    init(_ device: String) throws {
        let found = try Attachment.find(device)
        attachment = found.flatMap { $0.isCurrent ? $0 : nil }
        kernelMirror = attachment.flatMap { BlockSpaces.find($0.data) as? KernelMirror }
        let path = attachment?.device ?? device
        // Not attached, it must stay so.
        let file = try DeviceFile.open(path, for: attachment == nil ? .change : .inspect)
        self.file = file
        do {
            superblock = try file.superblock().superblock
            if let attachment, attachment.identifier != superblock.identifier {
                throw Complaint(.failure, "\(path.printable) is not the device that was attached")
            }
            if let attachment {
                // With the kernel's mirror in between, a page that cannot be read would come from the other side.
                guard let path = kernelMirror?.own.path ?? attachment.data.path else {
                    throw Complaint(.failure, "\(attachment.name.printable) is gone")
                }
                data = try DirectFile.open(FilePath(path), .readOnly)
                dataOffset = 0
            } else {
                data = try DirectFile.open(file, .readOnly)
                dataOffset = superblock.geometry.dataOffset
            }
        } catch {
            file.close()
            throw error
        }
        do {
            mount = try attachment.flatMap(Self.mount)
            if mount == nil, let attachment {
                claim = try BlockSpaces.find(attachment.data)?.claim()
                guard claim != nil else {
                    throw Complaint(
                        .failure,
                        "\(attachment.name.printable) is in use, but no mount of it is seen from here: another mount"
                            + " namespace, perhaps, or another device is made of it")
                }
            }
        } catch {
            try? data.close()
            file.close()
            throw error
        }
    }

    func close() {
        mount?.scan.close()
        try? claim?.close()
        try? data.close()
        file.close()
    }

    /// Another number after something has written to the device, as far as the kernel has seen it. Nothing: not known.
    var writeMark: UInt64? {
        _ = fsync(data.rawValue)
        guard let facts = try? Stat(data).rawValue else { return nil }
        guard facts.st_mode & S_IFMT == S_IFBLK else {
            return UInt64(bitPattern: facts.st_mtim.nanoseconds) ^ UInt64(facts.st_size) << 1
        }
        // Reads, merged, sectors, ms; writes, merged, sectors: a flush has none.
        let device = DeviceNumber(facts.st_rdev)
        return ProcFile.text("/sys/dev/block/\(device.major):\(device.minor)/stat")?
            .split(whereSeparator: \.isWhitespace).dropFirst(6).first.flatMap { UInt64($0) }
    }

    var name: String { (attachment?.name ?? file.path.string).printable }

    var membership: SetMembership {
        get throws {
            guard let membership = superblock.membership else {
                throw Complaint(.failure, "\(name) has no mirror: shimctl mirror add gives it one")
            }
            switch membership.role {
            case .primary: return membership
            case .mirror:
                throw Complaint(.failure, "\(name) is a mirror itself: name the device that it is the mirror of")
            case .promoted:
                throw Complaint(
                    .failure, "\(name) was a mirror, and is used in place of its primary since: it has no mirror now")
            }
        }
    }

    /// Reads some pages.
    /// - Returns: false where one of them cannot be read: a media error.
    func read(_ target: UnsafeMutableRawBufferPointer, page: UInt64) throws -> Bool {
        do {
            let count = try data.fill(target, at: Int64(dataOffset + page * pageSize))
            guard count == target.count else { throw Complaint(.failure, "\(name) is cut short") }
            return true
        } catch Errno.ioError {
            return false
        } catch let reason as Errno {
            throw Complaint(.failure, "\(name), page \(page): \(reason)")
        }
    }

    /// What is dirty goes to the device; of pages that are mapped directly the next store is seen again.
    func synchronise() throws {
        guard let mount else { return }
        let reason = cmirror_synchronise(mount.scan.root.rawValue)
        guard reason == 0 else {
            throw Complaint(.failure, "\(mount.point.printable): \(Errno(rawValue: -reason))")
        }
    }

    /// - Throws: a `Complaint` where a part of the file system (journal, log, realtime part) lies on another device.
    func demandWhole() throws {
        guard let mount, mount.tellsFiles, freePages() == nil, hasOtherDevice else { return }
        throw Complaint(
            .failure,
            "a part of the file system on \(mount.point.printable) lies on another device: a copy of this one alone"
                + " would be of no use")
    }

    /// The parts that the file system has given to nobody, where it tells.
    func freePages() -> PageRanges? {
        guard let mount, mount.tellsFiles, let number = attachment.map({ UInt64($0.data.raw) }) else { return nil }
        var spaces = [cmirror_space](repeating: cmirror_space(), count: 512)
        var free: [Range<UInt64>] = []
        var start: UInt64 = 0
        while true {
            let count = cmirror_spaces(mount.scan.root.rawValue, number, start, &spaces, Int32(spaces.count))
            guard count >= 0 else { return nil }
            for space in spaces.prefix(Int(count)) {
                // With a second device, what extents say may be meant of that one.
                guard space.is_other_device == 0 else {
                    hasOtherDevice = true
                    return nil
                }
                if space.is_free != 0 {
                    free.append(
                        PageRanges.within(space.physical, space.length, pageSize: pageSize, end: geometry.pageCount))
                }
            }
            guard count == spaces.count else { break }
            let last = spaces[Int(count) - 1]
            guard last.physical + last.length > start else { return nil }
            start = last.physical + last.length
        }
        return PageRanges(free)
    }

    /// The mount that shows all of it.
    private static func mount(_ attachment: Attachment) throws -> Mount? {
        let names = [DeviceNodes.data(attachment.name), attachment.data.path ?? ""]
        let all = MountEntry.all
        let mounts = all.filter { $0.device == attachment.data.description || names.contains($0.source) }
        guard !mounts.isEmpty else { return nil }
        for entry in mounts where entry.isWhole {
            // Something else may be mounted on top.
            guard all.last(where: { $0.point == entry.point })?.identifier == entry.identifier else { continue }
            if let mount = try mount(entry, attachment) { return mount }
        }
        throw Complaint(
            .failure,
            "\(attachment.name.printable) is mounted on \(mounts[0].point.printable), but its root cannot be reached:"
                + " something is mounted on top, or only a part of it is mounted")
    }

    /// - Returns: nothing where something else is found there.
    private static func mount(_ entry: MountEntry, _ attachment: Attachment) throws -> Mount? {
        let scan: FileScan
        do {
            scan = try FileScan(entry.point)
        } catch {
            throw Complaint(.failure, "\(entry.point.printable): \(error)")
        }
        // Others (btrfs) give their files a device number of their own.
        if Mount.tellsFiles(entry.type),
            (try? Stat(scan.root))?.rawValue.st_dev != attachment.data.raw
        {
            scan.close()
            return nil
        }
        guard let point = try? FileDescriptor.open(FilePath(entry.point), .readOnly, options: .closeOnExec) else {
            scan.close()
            throw Complaint(.failure, "\(entry.point.printable) cannot be opened")
        }
        defer { try? point.close() }
        let identity =
            Mount.tellsFiles(entry.type)
            ? identity(of: entry.type, attachment.data) : cmirror_mount_identity(point.rawValue)
        return Mount(
            point: entry.point, type: entry.type, directFiles: .init(entry, attachment.data), scan: scan,
            identity: identity)
    }

    /// Which life of the file system this is: from the first mount of it to the last unmount. The number of its
    /// directory in sysfs, which is never given twice while the machine runs (kernfs counts on), as that of a mount is
    /// before Linux 6.8. 0: not known.
    private static func identity(of type: String, _ device: DeviceNumber) -> UInt64 {
        let block = "/sys/dev/block/\(device.major):\(device.minor)"
        guard let link = try? FileManager.default.destinationOfSymbolicLink(atPath: block),
            let name = FilePath(link).lastComponent?.string
        else { return 0 }
        var facts = stat()
        guard lstat("/sys/fs/\(type == "xfs" ? "xfs" : "ext4")/\(name)", &facts) == 0 else { return 0 }
        return UInt64(facts.st_ino)
    }
}
