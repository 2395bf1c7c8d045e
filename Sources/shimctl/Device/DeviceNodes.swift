import CBlock
import FoundationEssentials
import Glibc
import SystemPackage

/// What stands in /dev/pmemshim for an attached device: a symbolic link to the block device of the logical block space,
/// and a node of its own for the page arrays, with its own group. (In /dev, since /run is usually mounted nodev; a node
/// of its own, since the mode of /dev/loopN would outlive the use of that loop device for this.)
enum DeviceNodes {
    static let directory = "/dev/pmemshim"

    static func data(_ name: String) -> String { "\(directory)/\(name)" }
    static func pages(_ name: String) -> String { "\(directory)/\(name).pages" }

    /// Letters, digits, `.`, `_`, `-` and `+`, no leading dot, at most 64 characters: safe as a file name and in a
    /// shell.
    static func isName(_ name: String) -> Bool {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+")
        return !name.isEmpty && name.count <= 64 && name.first != "." && name.allSatisfy(allowed.contains)
            && !name.hasSuffix(".pages")
    }

    /// A name made of that of the image or block device.
    static func name(for device: FilePath) -> String {
        var stem = device.stem ?? "device"
        stem = String(stem.map { isName("x\($0)") ? $0 : "_" }.prefix(64))
        return isName(stem) ? stem : "device"
    }

    /// Both nodes, or neither.
    static func make(_ name: String, data: DeviceNumber, pages: DeviceNumber, group: gid_t) throws {
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw Complaint(.failure, "\(directory): \(Errno(rawValue: errno))")
        }
        guard let target = data.path else { throw Complaint(.failure, "block device \(data.description) has no name") }
        guard symlink(target, self.data(name)) == 0 else {
            throw Complaint(.failure, "\(self.data(name)): \(Errno(rawValue: errno))")
        }
        let node = self.pages(name)
        guard mknod(node, S_IFBLK | 0o600, pages.raw) == 0 else {
            let reason = Errno(rawValue: errno)
            _ = unlink(self.data(name))
            throw Complaint(.failure, "\(node): \(reason)")
        }
        // Nobody else's until it has its group.
        guard chown(node, 0, group) == 0, chmod(node, 0o660) == 0 else {
            let reason = Errno(rawValue: errno)
            _ = unlink(node)
            _ = unlink(self.data(name))
            throw Complaint(.failure, "\(node): \(reason)")
        }
    }

    /// Takes away what stands under that name for those devices, and nothing that stands there for others.
    static func remove(_ name: String, data: DeviceNumber, pages: DeviceNumber) {
        var found = stat()
        if lstat(self.pages(name), &found) == 0, found.st_mode & S_IFMT == S_IFBLK, found.st_rdev == pages.raw {
            _ = unlink(self.pages(name))
        }
        if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: self.data(name)),
            DeviceNumber(path: target) == data
        {
            _ = unlink(self.data(name))
        }
    }

    /// Takes away what an earlier version, which made nodes before it registered them, has left under that name. With
    /// the lock, and only where nothing is registered under it.
    static func sweep(_ name: String) {
        _ = unlink(pages(name))
        _ = unlink(data(name))
    }

    /// The number of a group, by name.
    static func group(named name: String) -> gid_t? { getgrnam(name)?.pointee.gr_gid }
}
