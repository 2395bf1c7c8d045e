import ArgumentParser
import PmemDeviceFormat
import PmemShim

/// `shimctl mirror verify`.
struct MirrorVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check both copies against the checksums.",
        discussion: """
            Every page of the mirror is compared with its checksum, and so is every page of the device that belongs to \
            a file which has not changed since the last pass. What is wrong is named by file, byte and page. Metadata \
            and files that have changed since cannot be judged; the mirror's copies of them can. A mirror whose device \
            is lost is named itself: its pages are compared with their checksums.

            EXIT STATUS
              0 all is as it was copied; 1 something is not, which is named, or it cannot be done; 64 for a bad option
            """)

    @OptionGroup var set: MirrorSetOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Read no more than so much in a second (100M).", valueName: "bytes"))
    var rate: ByteSize?

    @Flag(help: "Write JSON (schema pmemshim.mirror-verify/1).")
    var json = false

    func run() throws {
        var isClean = false
        try Complaint.reported(by: "mirror verify") {
            if set.mirror == nil, let lone = try Self.lone(set.device) {
                isClean = try verify(lone)
                return
            }
            let devices = try set.open()
            defer { devices.close() }
            try MirrorLog(devices.mirror).apply()
            let verifier = try MirrorVerifier(devices)
            verifier.rate = rate?.bytes
            let line = ProgressLine("verify", total: devices.mirror.geometry.pageCount)
            verifier.progress = line.show
            let result = try verifier.run(readsAll: true)
            line.end()
            isClean = result.faults.isEmpty && result.unfinished == 0
            try tell(result, PageNames(devices.primary))
        }
        if !isClean { throw ExitCode(1) }
    }

    /// The mirror that is meant itself, open.
    private static func lone(_ device: String) throws -> MirrorDevice? {
        guard try Attachment.find(device)?.isCurrent != true,
            let seen = try? DeviceFile.open(device, for: .inspect)
        else { return nil }
        defer { seen.close() }
        guard try seen.superblock().superblock.membership?.role == .mirror else { return nil }
        let file = try Complaint.awaited({ try DeviceFile.open(device, for: .change) })
        do {
            return try MirrorDevice(file, MirrorPromotion.demandOwn(file))
        } catch {
            file.close()
            throw error
        }
    }

    /// - Returns: whether all of it is as it was copied.
    private func verify(_ mirror: MirrorDevice) throws -> Bool {
        defer { mirror.close() }
        if let objection = MirrorCheck.objection(try mirror.membership) {
            throw Complaint(.failure, "the checksums of \(mirror.name) tell nothing: \(objection)")
        }
        try MirrorLog(mirror).apply()
        let line = ProgressLine("verify", total: mirror.geometry.pageCount)
        var check = MirrorCheck(mirror)
        check.rate = rate?.bytes
        check.progress = line.show
        let result = check.run()
        line.end()
        if json {
            try Output.json(
                Document(
                    pagesRecorded: result.recorded, pagesJudged: 0, pagesShared: 0, pagesUnknown: 0, pagesUnfinished: 0,
                    faults: result.damaged.map { .init(page: $0, fault: "mirror", file: nil, offset: nil) }))
        } else {
            for page in result.damaged { try Output.line("page \(page) is damaged on the mirror") }
            let found = result.damaged.isEmpty ? "none of them is wrong" : "\(result.damaged.count) pages are wrong"
            try Output.line("\(Figures.count(result.recorded)) pages of the mirror, without its device: \(found)")
        }
        return result.damaged.isEmpty
    }

    private func tell(_ result: MirrorVerifier.Result, _ names: PageNames) throws {
        let pages = result.faults.keys.sorted()
        if json {
            let places = names.locate(pages)
            return try Output.json(
                Document(
                    pagesRecorded: result.recorded, pagesJudged: result.judged, pagesShared: result.shared,
                    pagesUnknown: result.unknown, pagesUnfinished: result.unfinished,
                    faults: pages.map { page in
                        Document.Entry(
                            page: page, fault: result.faults[page]?.rawValue ?? "", file: places[page]?.path.printable,
                            offset: places[page]?.offset)
                    }))
        }
        for (page, name) in zip(pages, try names.describe(pages, most: pages.count)) {
            try Output.line("\(name) \(result.faults[page]?.text ?? "")")
        }
        if result.unfinished > 0 {
            try Output.line(
                "\(Figures.count(result.unfinished)) pages were written to since the last pass, by one that was cut"
                    + " short or by the kernel: sync"
            )
        }
        let found = pages.isEmpty ? "none of them is wrong" : "\(Figures.count(UInt64(pages.count))) pages are wrong"
        try Output.line(
            "\(Figures.count(result.recorded)) pages of the mirror, and \(Figures.count(result.judged)) of"
                + " the device that belong to unchanged files: \(found)")
        if result.judged == 0 {
            try Output.line(
                "None of the device's pages can be judged: that takes a pass with --freeze since it was mounted")
        }
        if result.shared > 0 {
            try Output.line(
                "\(Figures.count(result.shared)) pages are unchanged files' in part only, for the file system's blocks"
                    + " are smaller than a page: they are not judged")
        }
        if result.unknown > 0 {
            try Output.line("\(Figures.count(result.unknown)) pages of the mirror have no record that counts")
        }
    }

    private struct Document: Encodable {
        struct Entry: Encodable {
            let page: UInt64
            /// `mirror`, `primary`, `both`, `unreadable` or `different`.
            let fault: String
            @Explicit var file: String?
            @Explicit var offset: UInt64?

            init(page: UInt64, fault: String, file: String?, offset: UInt64?) {
                self.page = page
                self.fault = fault
                _file = Explicit(wrappedValue: file)
                _offset = Explicit(wrappedValue: offset)
            }
        }

        let schema = "pmemshim.mirror-verify/1"
        let pagesRecorded: UInt64
        let pagesJudged: UInt64
        /// Of unchanged files in part only: not judged.
        let pagesShared: UInt64
        let pagesUnknown: UInt64
        let pagesUnfinished: UInt64
        let faults: [Entry]
    }
}

extension MirrorVerifier.Fault {
    fileprivate var text: String {
        switch self {
        case .mirror: "is damaged on the mirror"
        case .primary: "is damaged on the device: its file has not changed since it was copied"
        case .both: "is damaged on both"
        case .unreadable: "cannot be read on the device"
        case .different: "differs on the two sides, to both of which the kernel writes"
        }
    }
}
