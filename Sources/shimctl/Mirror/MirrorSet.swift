import PmemDeviceFormat
import PmemShim
import SystemPackage

/// A device and its mirror, both open and found to belong together.
final class MirrorSet {
    let primary: Primary
    let mirror: MirrorDevice
    /// Where the kernel writes to both: keeps other shimctls away.
    private let hold: FileDescriptor?

    /// Whether the kernel writes to both, and has missed nothing.
    var isLive: Bool { hold != nil }

    /// - Parameters:
    ///   - device: the primary, as people name it.
    ///   - path: of the mirror; nothing: where it was last found.
    /// - Throws: a `Complaint` that says which of the two is wrong, and in what.
    init(_ device: String, mirror path: String?) throws {
        let primary = try Primary(device)
        self.primary = primary
        do {
            if let live = primary.kernelMirror {
                (mirror, hold) = try KernelMirroring.open(live, of: primary, at: path)
            } else {
                (mirror, hold) = (try Self.mirror(of: primary, at: path), nil)
            }
        } catch {
            primary.close()
            throw error
        }
    }

    func close() {
        mirror.close()
        try? hold?.close()
        primary.close()
    }

    private static func mirror(of primary: Primary, at path: String?) throws -> MirrorDevice {
        let membership = try primary.membership
        let file = try DeviceFile.open(path ?? String(decoding: membership.peerPath, as: UTF8.self), for: .change)
        do {
            let superblock = try file.superblock().superblock
            if let attachment = primary.attachment, !file.isBlockDevice,
                DeviceNumber(file.stat.rawValue.st_dev) == attachment.data
            {
                throw Complaint(.failure, "the mirror, \(file.path.string.printable), lies on \(primary.name) itself")
            }
            try demand(superblock, isMirrorOf: primary.superblock, file.path.string.printable)
            return try MirrorDevice(file, superblock)
        } catch {
            file.close()
            throw error
        }
    }

    /// That the two superblocks are of one set, and the second one is the mirror.
    static func demand(_ superblock: Superblock, isMirrorOf primary: Superblock, _ name: String) throws {
        guard let own = primary.membership, let other = superblock.membership else {
            throw Complaint(.failure, "\(name) is a device of its own, and no mirror")
        }
        guard other.role != .primary else {
            throw Complaint(.failure, "\(name) is a primary itself, and no mirror")
        }
        guard other.set == own.set, superblock.identifier == own.peer, other.peer == primary.identifier else {
            throw Complaint(
                .failure,
                "\(name) belongs to another set (\(other.set.description), and not \(own.set.description))")
        }
        switch other.role {
        case .mirror: break
        case .primary: break
        case .promoted:
            throw Complaint(
                .failure,
                "\(name) has been promoted, and is used in place of this device: nothing is copied over it."
                    + " mirror add --force, with the devices the other way round, makes this one its mirror")
        }
        guard superblock.geometry == primary.geometry else {
            throw Complaint(
                .failure,
                "\(name) has another geometry (\(Figures.bytes(superblock.geometry.deviceSize)), pages of"
                    + " \(superblock.geometry.pageSize))")
        }
    }
}
