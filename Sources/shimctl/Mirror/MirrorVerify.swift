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
            and files that have changed since cannot be judged; the mirror's copies of them can.

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

    private func tell(_ result: MirrorVerifier.Result, _ names: PageNames) throws {
        let pages = result.faults.keys.sorted()
        if json {
            let places = names.locate(pages)
            return try Output.json(
                Document(
                    pagesRecorded: result.recorded, pagesJudged: result.judged, pagesUnknown: result.unknown,
                    pagesUnfinished: result.unfinished,
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
