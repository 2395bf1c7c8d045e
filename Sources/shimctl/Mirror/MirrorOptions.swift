import ArgumentParser

/// Which set is meant.
struct MirrorSetOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The device that has a mirror.", valueName: "device"), completion: .file())
    var device: String

    @Option(
        help: ArgumentHelp(
            "Where the mirror is; by default where mirror add, or a pass with this option, found it.",
            valueName: "device"),
        completion: .file())
    var mirror: String?

    /// Both devices, open. A pass, or another command that is at work on them, is waited for: 10 s, which is more than
    /// a pass takes that has not all to copy.
    func open() throws -> MirrorSet {
        try Complaint.awaited(
            { try MirrorSet(device, mirror: mirror) }, unless: { MirrorRunner.isStopped != 0 })
    }

    /// Notes where the mirror is now, where that was said and is not what the device's superblock has.
    func remember(_ devices: MirrorSet) throws {
        let before = try devices.primary.membership
        var now = before
        now.peerPath = Array(devices.mirror.file.path.string.utf8)
        guard mirror != nil, !devices.isLive, now.peerPath != before.peerPath else { return }
        try AttachmentLock.held(.exclusive) {
            let file = try DeviceFile.open(devices.primary.file.path.string, for: .amend)
            defer { file.close() }
            var superblock = try file.superblock().superblock
            guard let found = superblock.membership, found.role == .primary,
                found.set == before.set
            else { return }
            superblock.membership?.peerPath = now.peerPath
            superblock.membership?.sequence += 1
            try file.write(superblock)
        }
    }
}

/// How long a file system may stand still.
struct FreezeOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Let the file system go on after so long whatever happens.", valueName: "ms"))
    var freezeLimit = 2_000

    func validate() throws {
        guard (1...60_000).contains(freezeLimit) else {
            throw ValidationError("--freeze-limit \(freezeLimit): 1 to 60000 milliseconds.")
        }
    }

    var seconds: Double { Double(freezeLimit) / 1_000 }
}

/// What sync and run have in common.
struct MirrorPassOptions: ParsableArguments {
    @OptionGroup var set: MirrorSetOptions

    @Flag(help: "Let the file system stand still at the end, so that the mirror has one moment's state.")
    var freeze = false

    @OptionGroup var limit: FreezeOptions

    @Flag(help: "Copy into the data area at once, which gives up the older state while the pass is at work.")
    var inPlace = false

    @Flag(help: "Compare everything, whatever is known of what has changed.")
    var full = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Compare no more than so much in a second (100M).", valueName: "bytes"))
    var rate: ByteSize?

    @Flag(help: "Write JSON, a line for each pass (schema pmemshim.mirror-pass/1).")
    var json = false

    func validate() throws {
        if let rate, rate.bytes < 1 << 20 { throw ValidationError("--rate: 1 MiB a second is the least.") }
    }

    var pass: MirrorPass.Options {
        MirrorPass.Options(
            isFrozen: freeze, freezeLimit: limit.seconds, isInPlace: inPlace, isFull: full,
            rate: rate?.bytes)
    }
}
