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
        if !takesStale { try demandLost(membership) }
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
    private func demandLost(_ membership: SetMembership) throws {
        for attachment in try Registry.all() where attachment.isCurrent && attachment.identifier == membership.peer {
            guard let primary = try? DeviceFile.open(attachment.device, for: .inspect) else { continue }
            defer { primary.close() }
            guard let peer = try? primary.superblock().superblock.membership, peer.role == .primary,
                let other = try? Stat(FilePath(String(decoding: peer.peerPath, as: UTF8.self))).rawValue,
                (other.st_dev, other.st_ino, other.st_rdev)
                    == (file.stat.rawValue.st_dev, file.stat.rawValue.st_ino, file.stat.rawValue.st_rdev)
            else { continue }
            throw Complaint(
                .failure,
                "its primary is attached as \(attachment.name.printable): detach that first. Where that cannot be done"
                    + " any more, --stale promotes the mirror all the same")
        }
    }

    /// Compares a mirror that is to be promoted with its checksums: nobody else could tell a damaged page later. Before
    /// the lock of attach and detach is taken, for it reads all of the mirror.
    /// - Throws: a `Complaint` where pages are damaged, unless `takesStale`.
    static func check(_ device: String, takesStale: Bool) throws {
        let file = try DeviceFile.open(device, for: .change)
        defer { file.close() }
        let superblock = try file.superblock().superblock
        guard let membership = superblock.membership, membership.role == .mirror, membership.isUsable,
            MirrorCheck.objection(membership) == nil
        else { return }
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
        let result = try check.run()
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

    /// That no mirror has taken this device's place, as far as that can be seen.
    static func demandCurrent(_ device: String) throws {
        guard let file = try? DeviceFile.open(device, for: .inspect) else { return }
        defer { file.close() }
        guard let own = try? file.superblock().superblock, let membership = own.membership,
            membership.role == .primary,
            let other = try? DeviceFile.open(String(decoding: membership.peerPath, as: UTF8.self), for: .inspect)
        else { return }
        defer { other.close() }
        guard let found = try? other.superblock().superblock, found.identifier == membership.peer,
            found.membership?.role != .mirror
        else { return }
        throw Complaint(
            .failure,
            "\(device.printable) is outdated: its mirror, \(other.path.string.printable), has been promoted, and used"
                + " in its place. mirror add --force, with that one first, makes this one its mirror; --stale attaches"
                + " it all the same")
    }
}
