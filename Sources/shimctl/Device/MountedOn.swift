import FoundationEssentials
import Glibc

/// Where an attached device is mounted, from /proc/self/mountinfo.
enum MountedOn {
    /// Mount points of the block device `number`, whose paths are `names`. Some file systems (btrfs) give their files a
    /// device number of their own: those are known by the mount's source.
    static func points(of number: DeviceNumber, names: Set<String>) -> [String] {
        let table = FileManager.default.contents(atPath: "/proc/self/mountinfo") ?? Data()
        return String(decoding: table, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 6, let hyphen = fields.dropFirst(6).firstIndex(of: "-"), hyphen + 2 < fields.count
            else { return nil }
            let isOurs = fields[2] == number.description || names.contains(String(fields[hyphen + 2]))
            return isOurs ? String(fields[4]).printable : nil
        }
    }
}

extension Attachment {
    var mountPoints: [String] {
        guard isCurrent else { return [] }
        return MountedOn.points(of: data, names: [DeviceNodes.data(name), data.path ?? DeviceNodes.data(name)])
    }

    /// The attached device that `argument` means: its name, its image or block device, or its logical block space.
    ///
    /// An image is known by the file that the kernel has for it, not by its path, which may name another file by now,
    /// and not by what stands in it, which a copy bears as well.
    static func find(_ argument: String) throws -> Attachment? {
        let attached = try Registry.all()
        if let named = attached.first(where: { $0.name == argument }) { return named }
        var found = stat()
        guard stat(argument, &found) == 0 else { return attached.first { $0.device == argument } }
        if found.st_mode & S_IFMT == S_IFBLK {
            let number = DeviceNumber(found.st_rdev)
            if let data = attached.first(where: { $0.isCurrent && ($0.data == number || $0.pages == number) }) {
                return data
            }
        }
        return attached.first { $0.isMade(of: found) }
    }

    private func isMade(of found: stat) -> Bool {
        // Only root can ask a loop device; for others, and for one that is gone, the path has to do.
        if isCurrent, let space = BlockSpaces.find(data) { return space.isBacked(by: found) }
        var origin = stat()
        guard stat(device, &origin) == 0, origin.st_mode & S_IFMT == found.st_mode & S_IFMT else { return false }
        return found.st_mode & S_IFMT == S_IFBLK
            ? origin.st_rdev == found.st_rdev
            : origin.st_dev == found.st_dev && origin.st_ino == found.st_ino
    }
}
