import ArgumentParser
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// `shimctl attach`: the logical block space and the page arrays become block devices.
struct AttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Make a device's logical block space a block device, for mkfs and mount.",
        discussion: """
            The logical block space becomes /dev/pmemshim/NAME, on which any file system can be made and mounted; \
            mounts of it are found and served by the shim without being named. The page arrays become \
            /dev/pmemshim/NAME.pages, readable and writable by one group: access to them opens no data. What they \
            said before the attach counts no more.

            An image file, or a block device without DAX, goes through a loop device; a DAX device through the device \
            mapper, which keeps DAX. A superblock of which one copy is damaged is repaired.

            Where the device has a mirror (shimctl mirror) and no DAX, both are made equal, which reads all of both, \
            and from then on the kernel writes to both (dm-mirror), if it has that; --no-kernel-mirror leaves the \
            mirror to shimctl mirror run.

            A mirror (shimctl mirror) is attached with --promote only, when its primary is lost: the block device then \
            has the state of the mirror's last epoch. Before that all of the mirror is read, and compared with its \
            checksums; --no-check does not. The old primary, should it come back, is then refused.

            With --all the devices of /etc/pmemshim/devices are attached that are not: a line has the image or block \
            device, and, if wanted, a name and a group (- leaves one out). pmemshim-attach.service does it at boot.

            EXAMPLES
              shimctl attach /srv/pmem.img
              mkfs.ext4 /dev/pmemshim/pmem
              mount /dev/pmemshim/pmem /mnt/pmem
              shimctl run -- sqlite3 /mnt/pmem/a.db

              shimctl attach --all

            EXIT STATUS
              0 done; 1 no device, attached already, or it cannot be done (with --all: one of them, which a message \
            names); 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("Image file or block device.", valueName: "device"), completion: .file())
    var device: String?

    @Flag(help: "Attach every device of /etc/pmemshim/devices that is not attached yet.")
    var all = false

    @Option(
        help: ArgumentHelp(
            "Name in /dev/pmemshim; by default that of the image, without extension.", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "Whose members may use the page arrays; by default pmemshim if there is such a group, else disk.",
            valueName: "name"), completion: .shellCommand("compgen -g"))
    var group: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Let the kernel write to the device's mirror as well, where it has one and no DAX.")
    var kernelMirror = true

    @Flag(help: "Use a mirror in place of its primary, which is lost: from then on it is a device of its own.")
    var promote = false

    @Flag(name: .customLong("no-check"), help: "With --promote: do not compare the mirror with its checksums before.")
    var skipsCheck = false

    @Flag(
        help: ArgumentHelp(
            "Take a mirror as it is that has no one moment's state, or is damaged, or a primary whose mirror has been"
                + " promoted."))
    var stale = false

    func validate() throws {
        if promote, all { throw ValidationError("--promote goes with a device.") }
        if stale, all { throw ValidationError("--stale goes with a device.") }
        if skipsCheck, !promote { throw ValidationError("--no-check goes with --promote.") }
        guard (device == nil) == all else {
            throw ValidationError(all ? "--all goes without a device." : "Missing a device, or --all.")
        }
        if all, name != nil || group != nil { throw ValidationError("--all goes with neither --name nor --group.") }
        if let name, !DeviceNodes.isName(name) {
            throw ValidationError(
                "--name \(name.printable): letters, digits and . _ - +, no leading dot, at most 64,"
                    + " not ending in .pages."
            )
        }
    }

    func run() throws {
        guard all else { return try attachOne() }
        var hasFailed = false
        try Complaint.reported(by: "attach") {
            for line in try DeviceTable().lines {
                let attached = try Attachment.find(line.device)
                if let attached, attached.isCurrent { continue }
                var one = self
                (one.device, one.name, one.group, one.all) = (line.device, line.name, line.group, false)
                // The others come back all the same.
                do { try one.attachOne() } catch { hasFailed = true }
            }
        }
        if hasFailed { throw ExitCode(1) }
    }

    private func attachOne() throws {
        try Complaint.reported(by: "attach") {
            let owners = try groupNumber()
            if !stale { try MirrorPromotion.demandCurrent(device ?? "") }
            if promote, !skipsCheck { try MirrorPromotion.check(device ?? "", takesStale: stale) }
            let mirroring = kernelMirror ? try KernelMirroring.prepare(device ?? "") : nil
            let attachment = try AttachmentLock.held(.exclusive) { try attach(owners, mirroring) }
            let data = DeviceNodes.data(attachment.name)
            try Output.line(
                """
                attached \(attachment.device.printable) as \(data), \(Figures.bytes(attachment.dataSize)) \
                (\(attachment.data.path ?? attachment.data.description))
                page arrays \(attachment.pagesPath) (\(attachment.pages.path ?? attachment.pages.description))
                """)
            if let mirroring, BlockSpaces.find(attachment.data) is KernelMirror {
                try Output.line("mirrored by the kernel (dm-mirror) on \(mirroring.path.printable)")
            }
        }
    }

    /// With the lock.
    private func attach(_ owners: gid_t, _ mirroring: KernelMirroring?) throws -> Attachment {
        // Who is told of a device that has been closed (udev) looks at it for a moment.
        let file = try Complaint.awaited(
            seconds: promote ? 5 : 0, { try DeviceFile.open(device ?? "", for: .change) })
        defer { file.close() }
        let (superblock, pair) = try file.superblock()
        if pair.agreement == .differ {
            throw Complaint(
                .failure,
                "the two copies of the superblock are of different devices (\(pair.first.shortText),"
                    + " \(pair.second.shortText)): see shimctl create --recreate")
        }
        try file.demandOwnBeginning(pair)
        if pair.agreement == .oneBroken {
            Output.warn("shimctl attach: one copy of the superblock was damaged, and is put back from the other")
        }
        if let twin = try Registry.all().first(where: { $0.isCurrent && $0.identifier == superblock.identifier }) {
            Output.warn(
                "shimctl attach: warning: \(twin.name.printable) has the same identifier: one of the two is a copy, and"
                    + " file systems on them may be taken for one another")
        }
        let name = try freeName(for: file)
        let raised = try MirrorPromotion(file, superblock, isWanted: promote, takesStale: stale).superblock().raised
        try file.write(raised)
        return try makeDevices(of: file, raised, name, owners, mirroring)
    }

    /// Both block devices, the registration and the nodes, or nothing of all that. Registered before there are nodes:
    /// what a kill leaves behind is then known, and detach takes it away.
    private func makeDevices(
        of file: DeviceFile, _ superblock: Superblock, _ name: String, _ owners: gid_t, _ mirroring: KernelMirroring?
    ) throws -> Attachment {
        let geometry = superblock.geometry
        let label = superblock.identifier.description
        // What has been made here, and nothing else, is undone.
        var undo: [() throws -> Void] = []
        do {
            let range = geometry.dataOffset..<geometry.dataOffset + geometry.dataSize
            let data =
                try mirroring?.make(of: file, superblock, range: range)
                ?? BlockSpaces.make(of: file, range: range, name: "\(label)-data")
            undo.append { try data.discard() }
            let pages = try BlockSpaces.make(
                of: file, range: geometry.arrayOffset..<geometry.arrayOffset + geometry.arraySize,
                name: "\(label)-pages")
            undo.append { try pages.discard() }
            let attachment = Attachment(
                superblock: superblock, name: name, device: file.path, data: data.device, pages: pages.device,
                pagesPath: DeviceNodes.pages(name))
            try forgetPredecessors(of: attachment)
            try Registry.add(attachment)
            undo.append { try Registry.remove(data.device) }
            try DeviceNodes.make(name, data: data.device, pages: pages.device, group: owners)
            return attachment
        } catch {
            for step in undo.reversed() { _ = try? step() }
            throw error
        }
    }

    /// Block devices that were taken away by hand have left their numbers to these: nothing may name them by the old
    /// ones, least of all a node that a group may use.
    private func forgetPredecessors(of attachment: Attachment) throws {
        let numbers = [attachment.data, attachment.pages]
        for old in try Registry.all() where numbers.contains(old.data) || numbers.contains(old.pages) {
            DeviceNodes.remove(old.name, data: old.data, pages: old.pages)
            if numbers.contains(old.data) { try Registry.remove(old.data) }
        }
    }

    private func groupNumber() throws -> gid_t {
        if let group {
            guard let number = DeviceNodes.group(named: group) else {
                throw Complaint(.usage, "--group: there is no group \"\(group.printable)\"")
            }
            return number
        }
        return DeviceNodes.group(named: "pmemshim") ?? DeviceNodes.group(named: "disk") ?? 0
    }

    /// Names that a device which is gone has left behind (its loop device was taken away by hand) are free, once what
    /// is left of it has been let go.
    private func freeName(for file: DeviceFile) throws -> String {
        let wanted = name ?? DeviceNodes.name(for: file.path)
        guard let holder = try Registry.all().first(where: { $0.name == wanted }) else {
            DeviceNodes.sweep(wanted)
            return wanted
        }
        guard !holder.isCurrent else {
            throw Complaint(
                .failure, "\(DeviceNodes.data(wanted)) is \(holder.device.printable): choose another with --name")
        }
        try Detachment(of: holder).carryOut()
        return wanted
    }
}
