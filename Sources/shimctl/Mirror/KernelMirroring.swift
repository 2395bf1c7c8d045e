import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// A set without DAX: when it is attached, both sides are made equal, and from then on the kernel writes to both.
struct KernelMirroring {
    /// Of the mirror.
    let path: String
    /// What its superblock had to say when both were equal.
    private let equal: SetMembership

    /// Makes both sides equal. Nothing is attached yet.
    /// - Parameter device: as people name it.
    /// - Returns: nothing where the kernel is not to write to both (no set, DAX, attached already), or cannot, which is
    ///   told.
    static func prepare(_ device: String) throws -> KernelMirroring? {
        guard try Attachment.find(device)?.isCurrent != true, let membership = primaryMembership(device) else {
            return nil
        }
        let path = String(decoding: membership.peerPath, as: UTF8.self)
        guard DeviceMapper.offers("mirror") else {
            Output.warn(
                "shimctl attach: this kernel, or dmsetup, offers no dm-mirror: the mirror, \(path.printable), is kept"
                    + " by shimctl mirror run")
            return nil
        }
        do {
            return try equalise(device)
        } catch let complaint as Complaint {
            Output.warn("shimctl attach: attached without its mirror: \(complaint.description)")
            return nil
        }
    }

    /// What it says of its set, where it is a primary without DAX.
    private static func primaryMembership(_ device: String) -> SetMembership? {
        guard let file = try? DeviceFile.open(device, for: .inspect) else { return nil }
        defer { file.close() }
        guard !BlockSpaces.isDAX(file), let membership = try? file.superblock().superblock.membership,
            membership.role == .primary
        else { return nil }
        return membership
    }

    private static func equalise(_ device: String) throws -> KernelMirroring {
        let devices = try MirrorSet(device, mirror: nil)
        defer { devices.close() }
        let line = ProgressLine("mirror", total: devices.mirror.geometry.dataSize)
        defer { line.end() }
        func pass(inPlace: Bool) throws -> MirrorPass.Result {
            let options = MirrorPass.Options(isFrozen: true, isInPlace: inPlace, isFull: true)
            return try MirrorPass(devices, options, trace: nil, carried: nil, freezer: nil).run { done, _ in
                line.show(done)
            }
        }
        // The mirror keeps its older state meanwhile, if its log has room.
        let result = try (try? pass(inPlace: false)) ?? pass(inPlace: true)
        guard result.isPoint, result.isKept, result.tally.unreadable.isEmpty else {
            throw Complaint(
                .failure,
                result.tally.unreadable.isEmpty
                    ? "something else has written to it" : "parts of it cannot be read (shimctl mirror repair)")
        }
        return KernelMirroring(path: devices.mirror.file.path.string, equal: try devices.mirror.membership)
    }

    /// The logical block space of a set whose sides are equal still. With the lock of attach and detach.
    /// - Parameter primary: open for change.
    /// - Returns: nothing where it cannot be, which is told.
    func make(of primary: DeviceFile, _ superblock: Superblock, range: Range<UInt64>) throws -> KernelMirror? {
        do {
            let file = try DeviceFile.open(path, for: .change)
            defer { file.close() }
            let found = try file.superblock().superblock
            try MirrorSet.demand(found, isMirrorOf: superblock, path.printable)
            guard found.membership == equal else {
                throw Complaint(.failure, "\(path.printable) has changed meanwhile")
            }
            let made = try KernelMirror.make(
                of: primary, and: file, range: range, name: superblock.identifier.description)
            do {
                try Self.update(file, found) { $0.state = .kernel }
            } catch {
                try? made.discard()
                throw error
            }
            FileTable.forget(equal.set)
            return made
        } catch let complaint as Complaint {
            Output.warn("shimctl attach: attached without its mirror: \(complaint.description)")
            return nil
        }
    }

    /// The mirror of an attached device, to both of which the kernel writes.
    /// - Returns: it, and what keeps other shimctls away.
    /// - Throws: a `Complaint` also where the kernel has missed something on one side, after that was marked.
    static func open(_ live: KernelMirror, of primary: Primary, at path: String?) throws -> (
        MirrorDevice, FileDescriptor
    ) {
        let hold = try lock(live.other)
        do {
            // First, since of a side that has failed nothing may be readable.
            let health = try live.health
            guard health == .whole else { throw Complaint(.failure, mark(live, health)) }
            let file = try side(live, at: path ?? String(decoding: try primary.membership.peerPath, as: UTF8.self))
            do {
                let superblock = try file.superblock().superblock
                try MirrorSet.demand(superblock, isMirrorOf: primary.superblock, file.path.string.printable)
                return (try MirrorDevice(file, superblock), hold)
            } catch {
                file.close()
                throw error
            }
        } catch {
            try? hold.close()
            throw error
        }
    }

    /// The mirror itself, which the kernel has open as well.
    private static func side(_ live: KernelMirror, at path: String) throws -> DeviceFile {
        let file = try DeviceFile.open(path, for: .amend)
        guard live.other.isBacked(by: file.stat.rawValue) else {
            file.close()
            throw Complaint(.failure, "\(path.printable) is not what the kernel mirrors on")
        }
        return file
    }

    /// The kernel has the mirror open all the time, so the lock is that of its loop device.
    private static func lock(_ loop: LoopDevice) throws -> FileDescriptor {
        let descriptor = try DeviceFile.complaining(loop.path) {
            try FileDescriptor.open(FilePath(loop.path), .readOnly, options: .closeOnExec)
        }
        // Whoever looks at new devices (udev) may hold it for a moment.
        for _ in 0..<100 {
            if flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            Pause.take(seconds: 0.02)
        }
        try? descriptor.close()
        throw Complaint(.failure, "another shimctl is at work on the mirror", isTemporary: true)
    }

    /// Has the mirror's superblock say what has happened, so that neither side is taken for what it is not.
    /// - Returns: the same, for people, and whether it could not be written.
    static func mark(_ live: KernelMirror, _ health: KernelMirror.Health) -> String {
        let path = live.other.backingPath
        // The mirror alone has all that was written.
        let isAhead = !health.isOwnWhole && health.isOtherWhole
        func note() throws {
            let file = try side(live, at: path)
            defer { file.close() }
            try update(file, try file.superblock().superblock) {
                if isAhead { $0.role = .promoted } else { $0.passEpoch = max($0.epoch, $0.passEpoch) + 1 }
            }
        }
        let text =
            isAhead
            ? "the kernel could not write to the device itself: only its mirror, \(path.printable), has all that was"
                + " written. Unmount, detach, and use that in its place: shimctl attach \(path.printable)"
            : "the kernel could not write to the mirror, \(path.printable), and has let it go: it has no state that"
                + " could be used. When the device is attached the next time, both are made equal"
        do {
            // What the kernel could not write earlier it tells the first who asks, and only that one.
            do { try note() } catch { try note() }
            return text
        } catch {
            return text + ". It could not be marked as such (\(error))"
        }
    }

    private static func update(_ file: DeviceFile, _ superblock: Superblock, _ change: (inout SetMembership) -> Void)
        throws
    {
        let device = try MirrorDevice(file, superblock)
        defer { device.closeData() }
        try device.update(change)
        try file.synchronise()
    }
}
