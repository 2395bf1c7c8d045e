import ArgumentParser
import Glibc

/// `shimctl list`: what is attached.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List attached devices.",
        discussion: """
            A device is *gone* when its block devices were taken away by hand: detach forgets it.

            EXAMPLES
              shimctl list
              shimctl list --json | jq -r '.devices[] | select(.mounted_on == []) | .name'

            EXIT STATUS
              0, also when nothing is attached; 1 if the registration cannot be trusted
            """)

    @Flag(help: "Write JSON (schema in docs/shimctl.md).")
    var json = false

    func run() throws {
        try Complaint.reported(by: "list") {
            // Root waits for an attach or detach to end, and sees all of it or nothing. Others cannot: who may take the
            // lock could keep root from attaching.
            let attached =
                try geteuid() == 0 && Registry.isThere()
                ? AttachmentLock.held(.shared) { try Registry.all() } : Registry.all()
            if json {
                try Output.json(Document(devices: attached.map(Entry.init)))
            } else {
                try show(attached.map(Entry.init))
            }
        }
    }

    private func show(_ entries: [Entry]) throws {
        guard !entries.isEmpty else { return try Output.line("nothing is attached") }
        var table = Table(
            .text("NAME"), .text("DEVICE"), .text("BLOCKS"), .number("CAPACITY"), .text("MIRROR"), .text("STATE"),
            .text("MOUNTED ON"))
        for entry in entries {
            table.add(
                entry.name, entry.device, entry.blockDevice ?? "-", Figures.bytes(entry.capacity),
                entry.mirror ?? "-", entry.state,
                entry.mountedOn.isEmpty ? "-" : entry.mountedOn.joined(separator: " "))
        }
        try Output.line(table.text)
    }

    struct Document: Encodable {
        let schema = "pmemshim.list/1"
        let devices: [Entry]
    }

    struct Entry: Encodable {
        let name: String
        let device: String
        let uuid: String
        /// `attached` or `gone`.
        let state: String
        @Explicit var blockDevice: String?
        let pageArrays: String
        let capacity: UInt64
        let pageSize: UInt32
        let attachGeneration: UInt64
        let attachedUnixNs: UInt64
        /// A detach could not write everything back.
        let dataLost: Bool
        let mountedOn: [String]
        /// Where its mirror was last found.
        @Explicit var mirror: String?

        init(_ attachment: Attachment) {
            name = attachment.name.printable
            device = attachment.device.printable
            uuid = attachment.identifier.description
            state = attachment.isCurrent ? "attached" : "gone"
            blockDevice = attachment.isCurrent ? attachment.data.path : nil
            pageArrays = attachment.pagesPath.printable
            capacity = attachment.dataSize
            pageSize = attachment.pageSize
            attachGeneration = attachment.generation
            attachedUnixNs = attachment.attached
            dataLost = attachment.hasLostData
            mountedOn = attachment.mountPoints
            mirror = Self.mirror(attachment)
        }

        /// Who may not read the device is not told.
        private static func mirror(_ attachment: Attachment) -> String? {
            guard let file = try? DeviceFile.open(attachment.device, for: .inspect) else { return nil }
            defer { file.close() }
            let membership = (try? file.superblock())?.superblock.membership
            return membership.flatMap { $0.role == .primary ? MirrorMaker.path($0) : nil }
        }
    }
}
