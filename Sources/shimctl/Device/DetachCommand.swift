import ArgumentParser
import Foundation
import PmemShim
import SystemPackage

/// `shimctl detach`: the block devices of `attach` go.
struct DetachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Let an attached device go.",
        discussion: """
            Everything is written back first. Refused while the device is mounted or claimed otherwise. What an attach \
            that was interrupted has left behind goes too.

            EXAMPLES
              shimctl detach /srv/pmem.img
              shimctl detach pmem

            EXIT STATUS
              0 done; 1 not attached, in use, or it cannot be done; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("Image file, block device, or name.", valueName: "device"))
    var device: String

    func run() throws {
        try Complaint.reported(by: "detach") {
            if let attachment = try Attachment.find(device) {
                try detach(attachment)
                try Output.line("detached \(attachment.device.printable)")
            } else {
                try clearLeftovers()
                try Output.line("detached \(device.printable), which an interrupted attach or detach had left")
            }
        }
    }

    private func detach(_ attachment: Attachment) throws {
        // Numbers are used again: what has another sequence by now is somebody else's.
        let spaces = [(attachment.data, attachment.dataSequence), (attachment.pages, attachment.pagesSequence)]
            .filter { $0.0.sequence == $0.1 }.compactMap { BlockSpaces.find($0.0) }
        for space in spaces where space.device == attachment.data && space.isInUse {
            let points = attachment.mountPoints
            throw Complaint(
                .failure,
                "\(attachment.name.printable) is in use"
                    + (points.isEmpty ? "" : ": mounted on \(points.joined(separator: ", "))"))
        }
        // First what makes others find it.
        try Registry.remove(attachment.data)
        DeviceNodes.remove(attachment.name)
        for space in spaces { try clear(space) }
    }

    private func clear(_ space: any BlockSpace) throws {
        if try !space.clear() {
            Output.warn("shimctl detach: \(space.path) is still open somewhere; it goes when it is closed")
        }
    }

    private func clearLeftovers() throws {
        let file = try DeviceFile.open(device, for: .inspect)
        defer { file.close() }
        let (superblock, _) = try file.superblock()
        let offsets = [superblock.geometry.arrayOffset, superblock.geometry.dataOffset]
        let spaces = try BlockSpaces.all(of: file, identifier: superblock.identifier.description).filter { space in
            (space as? LoopDevice).map { offsets.contains($0.info.lo_offset) } ?? true
        }
        guard !spaces.isEmpty else { throw Complaint(.failure, "\"\(device.printable)\" is not attached") }
        for space in spaces where space.isInUse { throw Complaint(.failure, "\(space.path) is in use") }
        for space in spaces { try clear(space) }
    }
}
