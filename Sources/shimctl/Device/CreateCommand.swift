import ArgumentParser
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// `shimctl create`: a superblock, and with it a device.
struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a device of an image file or a block device, or put its superblock back.",
        discussion: """
            Writes the superblock and its copy; page arrays need no preparation, on a device of any size. An image \
            file that does not exist is made, sparse, with the size given. Then: attach, mkfs (any), mount.

            Refused where the device holds anything (any byte that is not 0), unless --force is given; always while it \
            is attached, or open for writing in another program.

            --recreate writes both copies of the superblock again, and nothing else, with the parameters of the copy \
            that is left. Where both are gone, --size and --page-size must be given as they were to create, and a file \
            system has to be found where these say that the data begins, or a damaged copy has to say the same.

            EXAMPLES
              shimctl create /srv/pmem.img --size 64G
              shimctl create /dev/pmem0 --page-size 64K
              shimctl create --mirror /dev/sdb /dev/pmem1
              shimctl create --recreate /srv/pmem.img

            EXIT STATUS
              0 done; 1 refused, or it cannot be done; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("Image file or block device.", valueName: "device"), completion: .file())
    var device: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Bytes to use (64G, 1.5T); needed for a new image.", valueName: "size"))
    var size: ByteSize?

    @Option(
        help: ArgumentHelp("4K, 16K or 64K; by default 4K.", valueName: "size"),
        completion: .list(["4K", "16K", "64K"]))
    var pageSize: PageSize?

    @Option(help: ArgumentHelp("The device's identifier; by default a random one.", valueName: "uuid"))
    var uuid: String?

    @Option(
        help: ArgumentHelp(
            "Image file or block device that becomes the device's mirror; takes root's rights.", valueName: "mirror"),
        completion: .file())
    var mirror: String?

    @Flag(help: "Overwrite what the device holds; with --recreate: take the parameters given without evidence.")
    var force = false

    @Flag(help: "Take all of an image's room now, so that a file system that gets full later cannot lose data.")
    var allocate = false

    @Flag(help: "Put the superblock back, and touch no data.")
    var recreate = false

    func validate() throws {
        if mirror != nil, recreate { throw ValidationError("--mirror goes without --recreate: shimctl mirror add.") }
        if allocate, recreate { throw ValidationError("--allocate goes without --recreate, which touches no data.") }
        if let uuid, Superblock.Identifier(uuid) == nil {
            throw ValidationError("--uuid \(uuid.printable): 32 hexadecimal digits, perhaps with hyphens.")
        }
        if let size, size.bytes < DeviceGeometry.smallestDevice {
            let least = Figures.bytes(DeviceGeometry.smallestDevice)
            throw ValidationError("--size: \(size.description) is too small; \(least) is the least.")
        }
    }

    func run() throws {
        try Complaint.reported(by: "create") {
            let superblock = try recreate ? putBack() : make()
            try Output.line(DeviceSummary(superblock).text(of: device, recreate ? "recreated" : "created"))
            if let mirror {
                let maker = MirrorMaker(device: device, mirror: mirror, log: nil, force: force)
                do {
                    try Output.line(try AttachmentLock.held(.exclusive) { try maker.make() })
                } catch let complaint as Complaint {
                    throw Complaint(
                        complaint.status,
                        complaint.description + ". The device is made, without a mirror: shimctl mirror add")
                }
            }
        }
    }

    private func make() throws -> Superblock {
        let made = try size.flatMap { try DeviceFile.make(device, size: $0) }
        let file = try made ?? existing()
        defer { file.close() }
        var hasGrown = false
        do {
            if made == nil { try checkContent(of: file) }
            let extended = try extended(file)
            hasGrown = extended.size > file.size
            let superblock = try parameters(for: extended, uuid: uuid.flatMap(Superblock.Identifier.init) ?? .random())
            try extended.reserve(Superblock.size, at: Superblock.offsets)
            if allocate { try extended.reserve(Int(clamping: superblock.geometry.deviceSize), at: [0]) }
            if force { try clean(extended) }
            try extended.write(superblock)
            warnOfRoom(extended)
            return superblock
        } catch {
            if made != nil {
                file.unlinkUnlessReplaced()
            } else if hasGrown {
                _ = ftruncate(file.descriptor.rawValue, off_t(file.size))
            }
            throw error
        }
    }

    private func existing() throws -> DeviceFile {
        var found = stat()
        if size == nil, lstat(device, &found) != 0, errno == ENOENT {
            throw Complaint(.failure, "\"\(device.printable)\" does not exist; an image file is made with --size")
        }
        let file = try DeviceFile.open(device, for: .change)
        do {
            try file.demandAlone()
            return file
        } catch {
            file.close()
            throw error
        }
    }

    private func warnOfRoom(_ file: DeviceFile) {
        guard file.missingRoom > 0 else { return }
        Output.warn(
            "shimctl create: \"\(device.printable)\" is sparse, and its file system has"
                + " \(Figures.bytes(file.missingRoom)) less than it may need: once that is full, what is written to"
                + " the device is lost")
    }

    /// Nothing is overwritten unasked: neither what libraries know by name, nor what they do not.
    private func checkContent(of file: DeviceFile) throws {
        guard !force else { return }
        let pair = try file.superblocks()
        if let superblock = pair.superblock {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" is a device already, \(superblock.identifier.description): --recreate puts its"
                    + " superblock back, --force makes a new device of it")
        }
        for case .broken(let reason) in [pair.first, pair.second] where reason.field != .magic {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" has a damaged superblock (\(reason.description)): --recreate puts it back,"
                    + " --force makes a new device of it")
        }
        if let found = try file.occupant() {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" holds \(found): not overwritten without --force, which gives all of it up")
        }
    }

    /// Images grow, sparse, where more is asked for; nothing is ever cut.
    private func extended(_ file: DeviceFile) throws -> DeviceFile {
        guard let size, size.bytes > file.size else { return file }
        guard !file.isBlockDevice else {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" has \(Figures.bytes(file.size)), less than --size \(size.description)")
        }
        guard ftruncate(file.descriptor.rawValue, off_t(size.bytes)) == 0 else {
            throw Complaint(.failure, "\"\(device.printable)\": \(Errno(rawValue: errno))")
        }
        return try file.resized()
    }

    func parameters(for file: DeviceFile, uuid: Superblock.Identifier) throws -> Superblock {
        let bytes = size?.bytes ?? file.size
        guard let geometry = DeviceGeometry(deviceSize: bytes, pageSize: pageSize?.bytes ?? 4_096) else {
            throw Complaint(
                .failure,
                "\"\(device.printable)\" has \(Figures.bytes(bytes));"
                    + " \(Figures.bytes(DeviceGeometry.smallestDevice)) is the least")
        }
        // Page arrays are not written: what an earlier life of the device has left in them must not count, so the
        // generation does not begin where that one did.
        let generation = UInt64.random(in: 1...UInt64(UInt32.max / 2))
        let now = UInt64(Date.now.timeIntervalSince1970 * 1_000_000_000)
        guard
            let superblock = Superblock(identifier: uuid, geometry: geometry, generation: generation, created: now)
        else { throw Complaint(.failure, "no superblock can be made") }
        return superblock
    }

    /// Takes away what would still be found there: signatures, and all before the data.
    private func clean(_ file: DeviceFile) throws {
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4_096)
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        defer { zeros.deallocate() }
        try file.write(UnsafeRawBufferPointer(zeros), at: 0)
        _ = try DeviceContent(of: file).wipe()
        try file.synchronise()
    }
}
