import PmemDeviceFormat
import PmemShim

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
        let mirror = try MirrorDevice(file, found)
        defer { mirror.closeData() }
        var text = membership.text
        do {
            try MirrorLog(mirror).apply()
            text = try mirror.membership.text
        } catch {
            guard takesStale else { throw error }
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
}
