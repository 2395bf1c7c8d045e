import FoundationEssentials
import Glibc

extension Attachment {
    /// Where it is mounted. Some file systems (btrfs) give their files a device number of their own: those are known by
    /// the mount's source.
    var mountPoints: [String] {
        guard isCurrent else { return [] }
        let names = [DeviceNodes.data(name), data.path ?? DeviceNodes.data(name)]
        return MountEntry.all.filter { $0.device == data.description || names.contains($0.source) }
            .map(\.point)
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
