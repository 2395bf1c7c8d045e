import PmemDeviceFormat
import PmemShim
import SystemPackage

/// A mirror that takes the place of its primary.
struct MirrorPromotion {
    private let file: DeviceFile
    private let found: Superblock
    private let isWanted: Bool
    private let takesStale: Bool

    /// - Parameters:
    ///   - file: any device, open for change.
    ///   - isWanted: whether it is to be promoted if it is a mirror.
    ///   - takesStale: also where it has no one moment's state.
    init(_ file: DeviceFile, _ superblock: Superblock, isWanted: Bool, takesStale: Bool) {
        self.file = file
        found = superblock
        self.isWanted = isWanted
        self.takesStale = takesStale
    }

    /// What the device's superblock has to say when it is attached. What a mirror's log holds is in place by then.
    /// - Throws: a `Complaint` for a mirror that is not to be promoted, or cannot be.
    func superblock() throws -> Superblock {
        let name = file.path.string.printable
        guard let membership = found.membership, membership.role == .mirror else {
            guard !isWanted || found.membership?.role == .promoted else {
                throw Complaint(.failure, "\(name) is no mirror: it is attached without --promote")
            }
            return found
        }
        guard isWanted else {
            throw Complaint(
                .failure,
                "\(name) is the mirror of \(MirrorMaker.path(membership)), \(membership.text): --promote uses it in"
                    + " place of that, which is then no longer mirrored")
        }
        guard membership.isUsable || takesStale else {
            throw Complaint(
                .failure,
                "\(name) cannot take the place of its primary: \(membership.text). With --stale it is taken as it is:"
                    + " run fsck before it is mounted")
        }
        if !takesStale { try Self.demandLost(file, found) }
        let mirror = try MirrorDevice(file, found)
        defer { mirror.closeData() }
        var text = membership.text
        let log = try MirrorLog(mirror)
        do {
            try log.apply()
            text = try mirror.membership.text
        } catch {
            // What its log holds is given up only where it cannot be had: a full disk passes.
            guard takesStale, log.isDamaged else { throw error }
            text = "what its data area holds, for its log is damaged: an older state, or a part of the last one"
        }
        var promoted = mirror.superblock
        promoted.membership?.role = .promoted
        promoted.membership?.sequence += 1
        promoted.membership?.passEpoch = 0
        promoted.membership?.log = .init(offset: 0, size: 0)
        Output.warn("shimctl attach: \(name) takes the place of \(MirrorMaker.path(membership)) with \(text)")
        return promoted
    }

    /// That its primary is not in use here. A copy of the mirror may well be tried beside it.
    private static func demandLost(_ file: DeviceFile, _ superblock: Superblock) throws {
        guard let membership = superblock.membership else { return }
        for attachment in try Registry.all() where attachment.isCurrent && attachment.identifier == membership.peer {
            guard let primary = try? DeviceFile.open(attachment.device, for: .inspect) else { continue }
            defer { primary.close() }
            guard let own = try? primary.superblock().superblock.membership, own.role == .primary,
                own.peer == superblock.identifier, !isCopy(file, superblock, of: own)
            else { continue }
            throw Complaint(
                .failure,
                "its primary is attached as \(attachment.name.printable): detach that first. Where that cannot be done"
                    + " any more, --stale promotes the mirror all the same")
        }
    }

    /// Whether the mirror itself is somewhere else: where its primary has it.
    private static func isCopy(_ file: DeviceFile, _ superblock: Superblock, of primary: SetMembership) -> Bool {
        guard let other = try? DeviceFile.open(String(decoding: primary.peerPath, as: UTF8.self), for: .inspect)
        else { return false }
        defer { other.close() }
        guard let found = try? other.superblock().superblock, found.identifier == superblock.identifier else {
            return false
        }
        let (one, two) = (file.stat.rawValue, other.stat.rawValue)
        let isSame =
            file.isBlockDevice
            ? other.isBlockDevice && one.st_rdev == two.st_rdev
            : !other.isBlockDevice && (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
        return !isSame
    }

    /// The superblock of a mirror that is to be read alone. Nothing is written to what may have become something else.
    static func demandOwn(_ file: DeviceFile) throws -> Superblock {
        let (superblock, pair) = try file.superblock()
        guard pair.agreement != .differ else {
            throw Complaint(.failure, "the two copies of the superblock are of different devices: see shimctl inspect")
        }
        try file.demandOwnBeginning(pair)
        return superblock
    }

    /// Compares a mirror that is to be promoted with its checksums: nobody else could tell a damaged page later. Before
    /// the lock of attach and detach is taken, for it reads all of the mirror.
    /// - Throws: a `Complaint` where pages are damaged, unless `takesStale`.
    static func check(_ device: String, takesStale: Bool) throws {
        let file = try Complaint.awaited({ try DeviceFile.open(device, for: .change) })
        defer { file.close() }
        let superblock = try demandOwn(file)
        guard let membership = superblock.membership, membership.role == .mirror, membership.isUsable,
            MirrorCheck.objection(membership) == nil
        else { return }
        if !takesStale { try demandLost(file, superblock) }
        let mirror = try MirrorDevice(file, superblock)
        defer { mirror.closeData() }
        let log = try MirrorLog(mirror)
        do {
            try log.apply()
        } catch {
            // It is said when it is attached.
            if takesStale, log.isDamaged { return }
            throw error
        }
        let line = ProgressLine("verify", total: mirror.geometry.pageCount)
        var check = MirrorCheck(mirror)
        check.progress = line.show
        let result = check.run()
        line.end()
        guard !result.damaged.isEmpty else { return }
        guard takesStale else {
            throw Complaint(
                .failure,
                result.text + ". Where its primary can be read, shimctl mirror repair puts them right; with --stale the"
                    + " mirror is used as it is")
        }
        Output.warn("shimctl attach: warning: " + result.text)
    }

    /// That no mirror has taken this device's place, as far as that can be seen: where it was last found, or attached
    /// here.
    static func demandCurrent(_ device: String) throws {
        guard let file = try? DeviceFile.open(device, for: .inspect) else { return }
        defer { file.close() }
        guard let own = try? file.superblock().superblock, let membership = own.membership,
            membership.role == .primary, let place = try promoted(membership)
        else { return }
        throw Complaint(
            .failure,
            "\(device.printable) is outdated: its mirror, \(place.printable), has been promoted, and used in its place."
                + " mirror add --force, with that one first, makes this one its mirror; --stale attaches it all the"
                + " same; where the promotion was a trial, mirror remove forgets the mirror")
    }

    /// Where a primary's mirror is, if that has been promoted.
    private static func promoted(_ primary: SetMembership) throws -> String? {
        if let other = try? DeviceFile.open(String(decoding: primary.peerPath, as: UTF8.self), for: .inspect) {
            defer { other.close() }
            if let found = try? other.superblock().superblock, found.identifier == primary.peer,
                found.membership?.role != .mirror
            {
                return other.path.string
            }
        }
        // A mirror is attached only when it is promoted.
        return try Registry.all().first { $0.isCurrent && $0.identifier == primary.peer }?.device
    }
}
