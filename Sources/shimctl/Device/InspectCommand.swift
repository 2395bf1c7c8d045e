import ArgumentParser
import FoundationEssentials
import Glibc
import PmemDeviceFormat
import PmemShim
import SystemPackage

/// `shimctl inspect`: what a device says of itself.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show a device's superblock, both its copies' state, and the state of its page arrays.",
        discussion: """
            Writes nothing. Of an attached device the page arrays are shown as they are now, else as they were left.

            EXAMPLES
              shimctl inspect /srv/pmem.img
              shimctl inspect pmem --json | jq .layers
              shimctl inspect pmem --page 4711

            EXIT STATUS
              0; 1 if there is no whole superblock (both copies' state is shown all the same), or no such page; 64 for \
            a bad option
            """)

    @Argument(
        help: ArgumentHelp("Image file, block device, or name of an attached device.", valueName: "device"),
        completion: .file())
    var device: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Only this device page: state, owner, sampled counts.", valueName: "n"))
    var page: UInt64?

    @Flag(help: "Write JSON (schema in docs/shimctl.md).")
    var json = false

    func run() throws {
        try Complaint.reported(by: "inspect") {
            let attachment = try Attachment.find(device)
            let file = try DeviceFile.open(attachment?.device ?? device, for: .inspect)
            defer { file.close() }
            let pair = try file.superblocks()
            guard let superblock = pair.superblock else {
                guard page == nil else { throw Complaint(.failure, "\(file.path.string.printable): \(pair.complaint)") }
                let report = InspectReport(file: file, pair: pair, attachment: attachment, content: nil, totals: nil)
                try show(report)
                throw Complaint(.failure, "\(file.path.string.printable): \(pair.complaint)")
            }
            try inspect(file, pair, superblock, attachment)
        }
    }

    private func inspect(
        _ file: DeviceFile, _ pair: SuperblockPair, _ superblock: Superblock, _ attachment: Attachment?
    ) throws {
        // While attached, the arrays are in the kernel's cache of their own block device.
        let live = try attachment.flatMap { $0.isCurrent ? try openPages($0) : nil }
        defer { try? live?.close() }
        let scan = LayerScan(
            live ?? file.descriptor, at: live == nil ? superblock.geometry.arrayOffset : 0, superblock)
        if let page {
            guard page < superblock.geometry.pageCount else {
                throw Complaint(
                    .failure, "page \(page): the device has \(superblock.geometry.pageCount), the first is 0")
            }
            let report = PageReport(number: page, geometry: superblock.geometry, state: try scan.page(page))
            return json ? try Output.json(report) : try Output.line(report.text)
        }
        // A mirror has records there, and no descriptors.
        var totals: LayerScan.Totals?
        if superblock.membership?.role != .mirror {
            let progress = ProgressLine("page arrays", total: superblock.geometry.sectionCount)
            totals = try scan.totals { progress.show($0) }
            progress.end()
        }
        let geometry = superblock.geometry
        let data = geometry.dataOffset..<geometry.dataOffset + geometry.dataSize
        let content = try DeviceContent(of: file).found(in: data)
        try show(InspectReport(file: file, pair: pair, attachment: attachment, content: content, totals: totals))
    }

    private func show(_ report: InspectReport) throws {
        if json { try Output.json(report) } else { try Output.line(report.text) }
    }

    private func openPages(_ attachment: Attachment) throws -> FileDescriptor {
        try DeviceFile.complaining(attachment.pagesPath.printable) {
            try FileDescriptor.open(FilePath(attachment.pagesPath), .readOnly, options: [.closeOnExec])
        }
    }
}
