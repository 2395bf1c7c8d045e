import ArgumentParser
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// `shimctl mirror add`: a device gets a mirror.
struct MirrorAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Give a device a mirror, also while it is used.",
        discussion: """
            The mirror is an image file, which is made if it is not there, or a block device (a disk, persistent \
            memory, or a network block device, so that another machine holds it); it must be at least as large as the \
            device, and an image file that is smaller is enlarged. Behind the copy it has a log, so that it keeps its \
            older state while a pass is at work: in an image an eighth of the device's size, on a block device all \
            that is left. Nothing of the device's data is touched. The first pass (mirror sync) then copies all of it.

            EXIT STATUS
              0 done; 1 refused, or it cannot be done; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("The device.", valueName: "device"), completion: .file())
    var device: String

    @Argument(help: ArgumentHelp("Image file or block device for its copy.", valueName: "mirror"), completion: .file())
    var mirror: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Size of the log, at least 2M; 0 for none.", valueName: "size"))
    var log: ByteSize?

    @Flag(help: "Overwrite what the mirror holds.")
    var force = false

    func validate() throws {
        if let log, log.bytes != 0, log.bytes < MirrorDevice.chunk {
            throw ValidationError("--log \(log.description): 2M is the least, or 0 for none.")
        }
    }

    func run() throws {
        try Complaint.reported(by: "mirror add") {
            let made = try AttachmentLock.held(.exclusive) {
                try MirrorMaker(device: device, mirror: mirror, log: log?.bytes, force: force).make()
            }
            try Output.line(made)
        }
    }
}

/// Makes a set of two devices.
struct MirrorMaker {
    let device: String
    let mirror: String
    let log: UInt64?
    let force: Bool

    /// With the lock of attach and detach.
    /// - Returns: what was done, for people.
    func make() throws -> String {
        let attached = try Attachment.find(device).flatMap { $0.isCurrent ? $0 : nil }
        let primary = try DeviceFile.open(attached?.device ?? device, for: attached == nil ? .change : .amend)
        defer { primary.close() }
        var own = try primary.superblock().superblock
        if let membership = own.membership, membership.role != .promoted {
            throw Complaint(
                .failure,
                membership.role == .primary
                    ? "\(device.printable) has a mirror already: \(Self.path(membership)). mirror remove lets it go"
                    : "\(device.printable) is a mirror itself")
        }
        try demandElsewhere(attached)
        try demandOther(primary)
        let size = own.geometry.deviceSize
        let wanted = log ?? max(min(size / 8, 64 << 30), 16 << 20) & ~0xfff
        let made = try DeviceFile.make(mirror, size: ByteSize(bytes: Self.start(size) + wanted))
        var file = try made ?? DeviceFile.open(mirror, for: .change)
        defer { file.close() }
        do {
            let set = Superblock.Identifier.random()
            if made == nil {
                try checkContent(of: file, own)
                if !file.isBlockDevice, file.size < Self.start(size) + wanted {
                    guard ftruncate(file.descriptor.rawValue, off_t(Self.start(size) + wanted)) == 0 else {
                        throw Complaint(.failure, "\"\(mirror.printable)\": \(Errno(rawValue: errno))")
                    }
                    file = try file.resized()
                }
            }
            guard file.size >= size else {
                throw Complaint(
                    .failure,
                    "\"\(mirror.printable)\" has \(Figures.bytes(file.size)), less than the \(Figures.bytes(size)) of"
                        + " \(device.printable)")
            }
            let place = logPlace(file, behind: size)
            if let log, place.size < log & ~4_095 {
                throw Complaint(
                    .failure,
                    "\"\(mirror.printable)\" has room for \(Figures.bytes(place.size)) of log, and not for"
                        + " \(Figures.bytes(log))")
            }
            var other = own
            other.identifier = .random()
            other.membership = SetMembership(
                role: .mirror, set: set, peer: own.identifier, peerPath: Array(primary.path.string.utf8), log: place)
            try file.reserve(Superblock.size, at: Superblock.offsets)
            try file.write(other)
            own.membership = SetMembership(
                role: .primary, set: set, peer: other.identifier, peerPath: Array(file.path.string.utf8),
                log: .init(offset: 0, size: 0))
            try primary.write(own)
            if place.size == 0, log != 0 {
                Output.warn(
                    "shimctl mirror add: there is no room for a log: while a pass is at work the mirror has no state"
                        + " that could be used")
            }
            return """
                \(file.path.string.printable) is the mirror of \(device.printable): set \(set.description), \
                \(Figures.bytes(place.size)) of log
                It holds nothing yet: shimctl mirror sync \(device.printable)
                """
        } catch {
            if made != nil { file.unlinkUnlessReplaced() }
            throw error
        }
    }

    static func path(_ membership: SetMembership) -> String {
        String(decoding: membership.peerPath, as: UTF8.self).printable
    }

    /// Where a log may begin.
    private static func start(_ size: UInt64) -> UInt64 { (size + 4_095) & ~4_095 }

    private func logPlace(_ file: DeviceFile, behind size: UInt64) -> SetMembership.Log {
        let start = Self.start(size)
        let room = file.size > start ? (file.size - start) & ~4_095 : 0
        let wanted = log.map { min($0 & ~4_095, room) } ?? room
        // Less than a chunk is of no use.
        return wanted >= MirrorDevice.chunk ? .init(offset: start, size: wanted) : .init(offset: 0, size: 0)
    }

    /// Nothing is overwritten unasked; what an add that was cut short has left is nothing.
    private func checkContent(of file: DeviceFile, _ primary: Superblock) throws {
        try file.demandAlone()
        guard !force else { return }
        let pair = try file.superblocks()
        if let found = pair.superblock {
            if let membership = found.membership, membership.role == .mirror, membership.peer == primary.identifier,
                membership.state == .empty, membership.passEpoch == 0
            {
                return
            }
            let what =
                found.membership?.role == .mirror
                ? "the mirror of \(found.membership.map(Self.path) ?? "")" : "a device already"
            throw Complaint(
                .failure,
                "\"\(mirror.printable)\" is \(what), \(found.identifier.description): not overwritten without --force")
        }
        if let found = try file.occupant() {
            throw Complaint(.failure, "\"\(mirror.printable)\" holds \(found): not overwritten without --force")
        }
    }

    /// A loop device over the primary's own image is the primary.
    private func demandOther(_ primary: DeviceFile) throws {
        guard let facts = try? Stat(FilePath(mirror)).rawValue, facts.st_mode & S_IFMT == S_IFBLK else { return }
        let device = DeviceNumber(facts.st_rdev)
        let loop = "/sys/dev/block/\(device.major):\(device.minor)/loop/backing_file"
        guard let path = ProcFile.text(loop), !path.isEmpty,
            let behind = try? Stat(FilePath(String(path.dropLast()))).rawValue,
            behind.st_dev == primary.stat.rawValue.st_dev, behind.st_ino == primary.stat.rawValue.st_ino
        else { return }
        throw Complaint(
            .failure, "\"\(mirror.printable)\" is a loop device over \(self.device.printable) itself")
    }

    /// A mirror on the file system that it is to be a copy of would copy itself, and could not be written to while that
    /// stands still.
    private func demandElsewhere(_ attached: Attachment?) throws {
        guard let attached else { return }
        var found = stat()
        let parent = FilePath(mirror).removingLastComponent()
        guard stat(mirror, &found) == 0 || stat(parent.isEmpty ? "." : parent.string, &found) == 0 else { return }
        guard found.st_mode & S_IFMT != S_IFBLK, DeviceNumber(found.st_dev) == attached.data else { return }
        throw Complaint(.failure, "\"\(mirror.printable)\" lies on \(attached.name.printable) itself")
    }
}

/// `shimctl mirror remove`: both stand alone again.
struct MirrorRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Let a device have no mirror any more.",
        discussion: """
            The device is then as any other. What the mirror holds stays as it is: attach --promote makes a device of \
            its own of it, mirror add --force a new mirror.

            EXIT STATUS
              0 done; 1 it cannot be done; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("The device that has a mirror.", valueName: "device"), completion: .file())
    var device: String

    func run() throws {
        try Complaint.reported(by: "mirror remove") {
            try AttachmentLock.held(.exclusive) {
                let attached = try Attachment.find(device).flatMap { $0.isCurrent ? $0 : nil }
                if let attached, BlockSpaces.find(attached.data) is KernelMirror {
                    throw Complaint(
                        .failure, "the kernel writes to \(attached.name.printable) and its mirror: detach it first")
                }
                let file = try DeviceFile.open(attached?.device ?? device, for: attached == nil ? .change : .amend)
                defer { file.close() }
                var superblock = try file.superblock().superblock
                guard let membership = superblock.membership, membership.role == .primary else {
                    throw Complaint(.failure, "\(device.printable) has no mirror")
                }
                superblock.membership = nil
                try file.write(superblock)
                FileTable.forget(membership.set)
                try Output.line("\(device.printable) has no mirror now; it was \(MirrorMaker.path(membership))")
            }
        }
    }
}
