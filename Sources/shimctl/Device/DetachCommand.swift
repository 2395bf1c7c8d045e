import ArgumentParser
import FoundationEssentials
import Glibc
import PmemShim
import SystemPackage

/// `shimctl detach`: the block devices of `attach` go.
struct DetachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Let an attached device go.",
        discussion: """
            Everything is written back first. Where that fails (the file system of the image is full), data is lost; \
            the device stays attached, and can be detached again. Refused while it is mounted or claimed otherwise. \
            What an attach that was interrupted has left behind goes too.

            EXAMPLES
              shimctl detach /srv/pmem.img
              shimctl detach pmem

            EXIT STATUS
              0 done; 1 not attached, in use, not written back, or it cannot be done; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("Image file, block device, or name.", valueName: "device"), completion: .file())
    var device: String

    func run() throws {
        try Complaint.reported(by: "detach") {
            if let attachment = try Attachment.find(device) { try Detachment(of: attachment).prepare() }
            let line = try AttachmentLock.held(.exclusive) {
                if let attachment = try Attachment.find(device) {
                    try Detachment(of: attachment).carryOut()
                    return "detached \(attachment.device.printable)"
                }
                try clearLeftovers()
                return "detached \(device.printable), which an interrupted attach or detach had left"
            }
            try Output.line(line)
        }
    }

    /// Block devices made of the same file or block device, at our offsets, that are nobody's: none is registered, and
    /// who makes them has the lock. With the lock.
    private func clearLeftovers() throws {
        if !device.contains("/"), (try? Stat(FilePath(device))) == nil {
            let names = try Registry.all().map(\.name.printable)
            throw Complaint(
                .failure,
                "nothing of the name \"\(device.printable)\" is attached"
                    + (names.isEmpty ? ", nor anything else" : " (attached: \(names.joined(separator: ", ")))"))
        }
        let file = try DeviceFile.open(device, for: .inspect)
        defer { file.close() }
        let (superblock, _) = try file.superblock()
        let offsets = [superblock.geometry.arrayOffset, superblock.geometry.dataOffset]
        let registered = try Registry.all().filter(\.isCurrent).flatMap { [$0.data, $0.pages] }
        let spaces = try BlockSpaces.all(of: file).filter { space in
            !registered.contains(space.device)
                && ((space as? LoopDevice).map { offsets.contains($0.info.lo_offset) } ?? true)
        }
        guard !spaces.isEmpty else {
            let other = try Registry.all().first { $0.device == file.path.string }
            throw Complaint(
                .failure,
                "\"\(device.printable)\" is not attached"
                    + (other.map { "; another file that had this name is, as \($0.name.printable)" } ?? ""))
        }
        for space in spaces {
            guard let claim = try space.claim() else { throw Complaint(.failure, "\(space.path) is in use") }
            try Detachment.flush(claim, "what was written to \(space.path)")
            try Detachment.clear(space, claim)
        }
    }
}
