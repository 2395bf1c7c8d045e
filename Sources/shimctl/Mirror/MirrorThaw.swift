import ArgumentParser
import CMirror
import Glibc
import SystemPackage

/// `shimctl mirror thaw`: what is left to be done when the copier and its watchdog were both killed.
struct MirrorThaw: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "thaw", abstract: "Let a file system go on that a killed copier has left standing still.",
        discussion: """
            A process that watches over the copier does that by itself; this is for both having been killed at once. \
            Whoever else has frozen the file system (fsfreeze(8), a snapshot of LVM) is not asked.

            EXIT STATUS
              0 it goes on, or did not stand still; 1 it cannot be done; 64 for a bad option
            """)

    @Argument(help: ArgumentHelp("The device that has a mirror.", valueName: "device"), completion: .file())
    var device: String

    func run() throws {
        try Complaint.reported(by: "mirror thaw") {
            guard let attachment = try Attachment.find(device), let point = attachment.mountPoints.first else {
                throw Complaint(.failure, "\(device.printable) is not attached, or not mounted")
            }
            let root = try DeviceFile.complaining(point.printable) {
                try FileDescriptor.open(FilePath(point), .readOnly, options: [.directory, .closeOnExec])
            }
            defer { try? root.close() }
            let reason = cmirror_thaw(root.rawValue)
            // EINVAL: it does not stand still.
            guard reason == 0 || reason == -EINVAL else {
                throw Complaint(.failure, "\(point.printable): \(Errno(rawValue: -reason))")
            }
            try Output.line("\(point.printable) " + (reason == 0 ? "goes on" : "did not stand still"))
        }
    }
}
