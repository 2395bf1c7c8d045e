import ArgumentParser
import PmemDeviceFormat
import PmemShim

/// `shimctl mirror repair`.
struct MirrorRepair: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Put damaged pages back, where the other copy is proven to be current.",
        discussion: """
            Without --page, all is verified first, and every page that is found damaged or cannot be read is repaired. \
            A page of the device is put back only if the mirror's copy has its checksum, and the file that owns the \
            page has not changed since; metadata, only of ext4, and only if it cannot be read and \
            the journal has not moved since. Everything else is named, with the age of the copy, and left alone, \
            unless --stale is given. A page of the mirror is put back from the device if that has its checksum.

            EXIT STATUS
              0 all is right now; 1 some pages were left alone, which are named, or it cannot be done; 64 for a bad \
            option
            """)

    @OptionGroup var set: MirrorSetOptions

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Repair this page of the device's data area; may be given again.", valueName: "number"))
    var page: [UInt64] = []

    @Flag(help: "Put back a copy that may be older than what it replaces; only with --page.")
    var stale = false

    @OptionGroup var limit: FreezeOptions

    @Flag(help: "Write JSON (schema pmemshim.mirror-repair/1).")
    var json = false

    func validate() throws {
        if stale, page.isEmpty { throw ValidationError("--stale goes with --page: what it overwrites is to be named.") }
    }

    func run() throws {
        var isClean = false
        try Complaint.reported(by: "mirror repair") {
            let devices = try set.open()
            defer { devices.close() }
            try MirrorLog(devices.mirror).apply()
            let count = devices.mirror.geometry.pageCount
            if let beyond = page.first(where: { $0 >= count }) {
                throw Complaint(.usage, "--page \(beyond): the device has \(count) pages")
            }
            var pages = page
            if page.isEmpty {
                let verifier = try MirrorVerifier(devices)
                let line = ProgressLine("verify", total: count)
                verifier.progress = line.show
                pages = try verifier.run(readsAll: true).faults.keys.sorted()
                line.end()
            }
            let repairer = try MirrorRepairer(
                devices, takesStale: stale, freezeLimit: limit.seconds)
            let outcomes = try repairer.run(pages)
            isClean = !outcomes.values.contains { if case .refused = $0 { true } else { false } }
            try tell(pages, outcomes, PageNames(devices.primary))
        }
        if !isClean { throw ExitCode(1) }
    }

    private func tell(_ pages: [UInt64], _ outcomes: [UInt64: MirrorRepairer.Outcome], _ names: PageNames) throws {
        if json {
            let places = names.locate(pages)
            return try Output.json(
                Document(
                    pages: pages.compactMap { page in
                        outcomes[page].map {
                            Document.Entry(
                                page: page, outcome: $0, file: places[page]?.path.printable,
                                offset: places[page]?.offset)
                        }
                    }))
        }
        var counts = (restored: 0, mirrored: 0, refused: 0)
        for (page, name) in zip(pages, try names.describe(pages, most: pages.count)) {
            switch outcomes[page] {
            case .restored: counts.restored += 1
            case .mirrored: counts.mirrored += 1
            case .refused(let reason):
                counts.refused += 1
                try Output.line("\(name): left alone: \(reason)")
            case .intact: try Output.line("\(name): nothing is wrong with it")
            case nil: break
            }
        }
        try Output.line(
            "\(counts.restored) pages of the device put back, \(counts.mirrored) of the mirror, \(counts.refused)"
                + " left alone"
        )
    }

    private struct Document: Encodable {
        struct Entry: Encodable {
            let page: UInt64
            /// `restored`, `mirrored`, `intact` or `refused`.
            let outcome: String
            @Explicit var reason: String?
            @Explicit var file: String?
            @Explicit var offset: UInt64?

            init(page: UInt64, outcome: MirrorRepairer.Outcome, file: String?, offset: UInt64?) {
                self.page = page
                var why: String?
                switch outcome {
                case .restored: self.outcome = "restored"
                case .mirrored: self.outcome = "mirrored"
                case .intact: self.outcome = "intact"
                case .refused(let reason):
                    self.outcome = "refused"
                    why = reason
                }
                _reason = Explicit(wrappedValue: why)
                _file = Explicit(wrappedValue: file)
                _offset = Explicit(wrappedValue: offset)
            }
        }

        let schema = "pmemshim.mirror-repair/1"
        let pages: [Entry]
    }
}
