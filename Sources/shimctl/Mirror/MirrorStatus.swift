import ArgumentParser
import FoundationEssentials
import PmemDeviceFormat
import PmemShim

/// `shimctl mirror status`.
struct MirrorStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Say what the mirror holds, and of when it is.",
        discussion: """
            The device may also be the mirror itself.

            EXIT STATUS
              0 it holds a state that can be used; 1 it does not, or cannot be looked at; 64 for a bad option
            """)

    @OptionGroup var set: MirrorSetOptions

    @Flag(help: "Write JSON (schema pmemshim.mirror-status/1).")
    var json = false

    func run() throws {
        var isUsable = false
        try Complaint.reported(by: "mirror status") {
            let own = try Self.superblock(try Attachment.find(set.device)?.device ?? set.device)
            guard let membership = own.superblock.membership else {
                throw Complaint(.failure, "\(set.device.printable) has no mirror: shimctl mirror add gives it one")
            }
            var other = own
            if membership.role == .primary {
                other = try Self.superblock(set.mirror ?? String(decoding: membership.peerPath, as: UTF8.self))
                try MirrorSet.demand(other.superblock, isMirrorOf: own.superblock, other.path)
            }
            guard let state = other.superblock.membership else { return }
            isUsable = state.isUsable
            if membership.role == .primary { try demandHealth() }
            if isUsable, try !MirrorLog.isWhole(other.path, other.superblock) {
                throw Complaint(
                    .failure,
                    "the log of the mirror, \(other.path), is damaged: its last state cannot be had. mirror sync"
                        + " --in-place makes a new copy")
            }
            let primary = membership.role == .primary ? own.path : MirrorMaker.path(state)
            if json {
                return try Output.json(Document(primary: primary, mirror: other.path, state))
            }
            try Output.line(
                """
                set      \(state.set.description)
                primary  \(primary)
                mirror   \(other.path)
                log      \(Figures.bytes(state.log.size))
                state    \(state.text)
                """)
            if state.state == .kernel, try isAttachedAlone() {
                try Output.line("         the primary is attached without it, and may have changed since")
            }
        }
        if !isUsable { throw ExitCode(1) }
    }

    /// That the kernel, where it writes to both, has missed nothing. Opening the set looks, and marks what has.
    private func demandHealth() throws {
        guard let attachment = try Attachment.find(set.device), attachment.isCurrent,
            let live = BlockSpaces.find(attachment.data) as? KernelMirror, try live.health != .whole
        else { return }
        try set.open().close()
    }

    private func isAttachedAlone() throws -> Bool {
        guard let attachment = try Attachment.find(set.device), attachment.isCurrent else { return false }
        return !(BlockSpaces.find(attachment.data) is KernelMirror)
    }

    private static func superblock(_ path: String) throws -> (superblock: Superblock, path: String) {
        let file = try DeviceFile.open(path, for: .inspect)
        defer { file.close() }
        return (try file.superblock().superblock, file.path.string.printable)
    }

    /// `2026-11-30T05:12:44Z, 12 s ago`.
    static func time(_ ns: UInt64) -> String {
        let date = Date(timeIntervalSince1970: Double(ns) / 1e9)
        let age = Double(FileTable.now) - Double(ns)
        let since = age >= 0 ? "\(Figures.duration(age)) ago" : "in the future of this machine's clock"
        return "\(date.ISO8601Format()), \(since)"
    }

    private struct Document: Encodable {
        let schema = "pmemshim.mirror-status/1"
        let set: String
        let primary: String
        let mirror: String
        /// `primary`, `mirror` or `promoted`.
        let role: String
        /// `empty`, `unfinished`, `copied`, `point` or `kernel`.
        let state: String
        let isUsable: Bool
        let epoch: UInt64
        let epochUnixNs: UInt64
        let logBytes: UInt64

        init(primary: String, mirror: String, _ membership: SetMembership) {
            set = membership.set.description
            self.primary = primary
            self.mirror = mirror
            role = "\(membership.role)"
            state = membership.isUnfinished ? "unfinished" : "\(membership.state)"
            isUsable = membership.isUsable
            (epoch, epochUnixNs) =
                membership.log.count > 0
                ? (membership.log.epoch, membership.log.epochTime) : (membership.epoch, membership.epochTime)
            logBytes = membership.log.size
        }
    }
}

extension SetMembership {
    /// A pass in place was cut short, and no log has what it was to become.
    var isUnfinished: Bool { passEpoch != 0 && log.count == 0 }

    /// Whether the mirror can take the primary's place.
    var isUsable: Bool { log.count > 0 || !isUnfinished && (state == .point || state == .kernel) }

    var text: String {
        if role == .promoted { return "promoted: used in place of its primary" }
        if log.count > 0 {
            return "one moment's state, \(MirrorStatus.time(log.epochTime)) (epoch \(log.epoch)), in the log in part"
        }
        if isUnfinished { return "no state that can be used: a pass is at work, or was cut short (epoch \(passEpoch))" }
        switch state {
        case .empty: return "empty: no pass has ended yet"
        case .copied:
            return "copied page by page, \(MirrorStatus.time(epochTime)) (epoch \(epoch)): for repairs; no one moment's"
                + " state, which takes --freeze"
        case .point: return "one moment's state, \(MirrorStatus.time(epochTime)) (epoch \(epoch))"
        case .kernel:
            return "as the primary was when the kernel last wrote to both; all compared \(MirrorStatus.time(epochTime))"
                + " (epoch \(epoch))"
        }
    }
}
