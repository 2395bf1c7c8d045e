import Glibc
import SystemPackage

/// Taking an attached device away: nothing is forgotten before everything has been written back and let go, so that
/// whatever fails, or is killed, can be done again.
struct Detachment {
    private let attachment: Attachment
    /// Its block devices that are still those that were registered: numbers are used again, and what has another
    /// sequence by now is somebody else's.
    private let spaces: [any BlockSpace]

    init(of attachment: Attachment) {
        self.attachment = attachment
        spaces = [(attachment.data, attachment.dataSequence), (attachment.pages, attachment.pagesSequence)]
            .filter { $0.0.sequence == $0.1 }.compactMap { BlockSpaces.find($0.0) }
    }

    /// With the lock.
    func carryOut() throws {
        var claims: [FileDescriptor] = []
        // Some are closed by then: clearing a device closes its claim.
        var open = 0
        defer { for claim in claims[open...] { try? claim.close() } }
        for space in spaces {
            guard let claim = try space.claim() else { throw inUse }
            claims.append(claim)
        }
        // From here on nobody can mount it.
        try writeBack(claims)
        // Before their numbers are free: a group may use the node of the page arrays.
        DeviceNodes.remove(attachment.name, data: attachment.data, pages: attachment.pages)
        for (space, claim) in zip(spaces, claims) {
            open += 1
            try Self.clear(space, claim)
        }
        try Registry.remove(attachment.data)
        if attachment.hasLostData {
            Output.warn(
                "shimctl detach: an earlier detach of \(attachment.name.printable) could not write everything back:"
                    + " check the file system on it before it is used again")
        }
    }

    /// The long part, without the lock: what is dirty now is written back, so that nobody has to wait for that.
    func prepare() throws {
        for space in spaces {
            guard let claim = try space.claim() else { throw inUse }
            try? claim.close()
            let descriptor = open(space.path, O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { continue }  // gone meanwhile
            defer { _ = close(descriptor) }
            do {
                try Self.flush(FileDescriptor(rawValue: descriptor), whatIsLost)
            } catch {
                try AttachmentLock.held(.exclusive) { try remember() }
                throw error
            }
        }
    }

    private func writeBack(_ claims: [FileDescriptor]) throws {
        for claim in claims {
            do {
                try Self.flush(claim, whatIsLost)
            } catch {
                try remember()
                throw error
            }
        }
    }

    /// The kernel reports a failure once, and takes what it could not write for written: the next detach will find
    /// nothing wrong, and has to know. With the lock.
    private func remember() throws {
        let registered = try Registry.all().first { $0.data == attachment.data }
        guard var marked = registered, marked.dataSequence == attachment.dataSequence else { return }
        marked.hasLostData = true
        try Registry.add(marked)
    }

    private var whatIsLost: String {
        "what was written to \(DeviceNodes.data(attachment.name)), and is not yet in \(attachment.device.printable)"
    }

    private var inUse: Complaint {
        let points = attachment.mountPoints
        return Complaint(
            .failure,
            "\(attachment.name.printable) is in use"
                + (points.isEmpty ? "" : ": mounted on \(points.joined(separator: ", "))"))
    }

    static func flush(_ descriptor: FileDescriptor, _ what: String) throws {
        guard fsync(descriptor.rawValue) != 0 else { return }
        let reason = Errno(rawValue: errno)
        throw Complaint(
            .failure,
            "\(what), cannot be written back (\(reason)), and is lost in part. It stays attached: see whether the file"
                + " system under it is full, check the file system on it, and detach it again")
    }

    static func clear(_ space: any BlockSpace, _ claim: FileDescriptor) throws {
        if try !space.clear(claim) {
            Output.warn("shimctl detach: \(space.path) is still open somewhere; it goes when it is closed")
        }
    }
}
