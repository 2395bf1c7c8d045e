import CShimSys
import FoundationEssentials
import Glibc
import PmemShim

/// Makes passes of one set, one after the other, and tells of them.
final class MirrorRunner {
    private let options: MirrorPassOptions
    private var trace: (any WriteTrace)?
    /// Of which device, and which mount of it, the trace is.
    private var traced: (sequence: UInt64, mount: UInt64)?
    private var carried: PageRanges?
    private var wasLittle = false
    /// Passes that go by the times of files, because the tracer cannot keep up.
    private var untraced = 0
    private let scrub = MirrorScrub()
    private var watchdog: Watchdog?
    /// Which share of the device is compared after each pass whatever is known, and how fast, bytes a second.
    var scrubbed = 0.0
    var scrubRate: UInt64 = 100 << 20
    /// Set by a signal: the pass under way is given up, and no other begins.
    nonisolated(unsafe) static var isStopped: Int32 = 0

    init(_ options: MirrorPassOptions) {
        self.options = options
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number) { _ in MirrorRunner.isStopped = 1 } }
    }

    /// Collects what the kernel has seen meanwhile.
    func drain() { trace?.drain() }

    /// One pass. Nothing is open afterwards: the file system can be unmounted between two of them.
    /// - Returns: false where pages could not be read, or have changed by themselves.
    func pass() throws -> Bool {
        let devices = try options.set.open()
        defer {
            devices.close()
            ChunkPool.trim()
        }
        let primary = devices.primary
        follow(primary)
        let freezer = try options.freeze ? primary.mount.map { Freezer($0.scan.root, try watched()) } : nil
        let pass = MirrorPass(
            devices, options.pass, trace: trace, carried: carried, freezer: freezer, expectsLittle: wasLittle)
        pass.check = {
            guard Self.isStopped != 0 else { return }
            let isUsable = (try? devices.mirror.membership.isUsable) == true
            throw Complaint(
                .failure,
                isUsable
                    ? "stopped: the mirror keeps its older state"
                    : "stopped: the mirror has no state that could be used, until a pass with --freeze has ended")
        }
        let line = ProgressLine("mirror", total: 1 << 20)
        var result: MirrorPass.Result
        do {
            result = try pass.run { done, total in line.show(total > 0 ? done * (1 << 20) / total : 0) }
        } catch {
            // What was seen is lost: the next pass finds out by the files.
            carried = nil
            if pass.hasLostTrace { untraced = 10 }
            line.end()
            throw error
        }
        carried = result.isKept ? pass.toCarry : nil
        wasLittle = result.wasLittle
        line.end()
        if result.isKept { try scrub(devices, pass.check, &result) }
        try tell(result, primary)
        do {
            try options.set.remember(devices)
        } catch let complaint as Complaint {
            Output.warn("shimctl mirror: the mirror's place is not noted: \(complaint.description)")
        }
        return result.tally.unreadable.isEmpty && result.tally.suspect.isEmpty && result.missed.isEmpty
    }

    /// One for all passes: to start it costs more than a pass that has little to do.
    private func watched() throws -> Watchdog {
        if let watchdog, watchdog.isThere { return watchdog }
        let started = try Watchdog(limit: options.pass.freezeLimit)
        watchdog = started
        return started
    }

    /// A part of all, where that is wanted.
    private func scrub(_ devices: MirrorSet, _ check: @escaping () throws -> Void, _ result: inout MirrorPass.Result)
        throws
    {
        guard scrubbed > 0, devices.primary.mount != nil else { return }
        let pages = Double(devices.primary.geometry.pageCount) * scrubbed
        let found = try scrub.run(
            devices, pages: pages, rate: scrubRate, trace: trace, carried: &carried, check: check)
        result.scrubbed = found.compared
        result.tally.suspect += found.suspect
        result.missed += found.missed
    }

    /// What was traced counts for one mount of one device.
    private func follow(_ primary: Primary) {
        if untraced > 0 {
            untraced -= 1
            (trace, traced, carried) = (nil, nil, nil)
            return
        }
        guard let attachment = primary.attachment, let mount = primary.mount else {
            (trace, traced, carried) = (nil, nil, nil)
            return
        }
        if let traced, trace != nil, traced == (attachment.dataSequence, mount.identity) { return }
        (trace, carried) = (nil, nil)
        let (size, count) = (primary.pageSize, primary.geometry.pageCount)
        trace =
            WriteBitmap(attachment.data, pageSize: size, pageCount: count)
            ?? BlockTrace(attachment.data, pageSize: size, pageCount: count)
        Self.awaitWrites(attachment.data)
        traced = (attachment.dataSequence, mount.identity)
    }

    /// Waits for writes that had been submitted before the trace began: a read may overtake them. Until none is under
    /// way for 30 ms, for what is queued is not counted yet; or for as long as they may take.
    private static func awaitWrites(_ device: DeviceNumber) {
        let end = ContinuousClock.now + .nanoseconds(RecentWrites.longestFlightNs)
        let path = "/sys/dev/block/\(device.description)/inflight"
        var quiet = 0
        while quiet < 6, .now < end {
            Pause.take(seconds: 0.005)
            // Reads and writes.
            let counts = ProcFile.text(path)?.split(whereSeparator: \.isWhitespace)
            quiet = counts?.count == 2 && counts?.last == "0" ? quiet + 1 : 0
        }
    }

    private func tell(_ result: MirrorPass.Result, _ primary: Primary) throws {
        let names = PageNames(primary)
        for (pages, what) in [
            (result.tally.unreadable, "cannot be read"),
            (result.tally.suspect, "has changed by itself: the mirror keeps its copy (shimctl mirror verify)"),
            (
                result.missed,
                "differs, though nothing has told that it has changed: the mirror keeps its copy (mirror sync --full)"
            ),
            (result.tally.healed, "was damaged on the mirror, and is right again"),
        ] {
            for name in try names.describe(pages, most: 20) { Output.warn("shimctl mirror: \(name) \(what)") }
        }
        if !result.tally.unreadable.isEmpty, !result.isLive {
            Output.warn(
                "shimctl mirror: the mirror keeps its older state of these pages, and has no state of one moment newer"
                    + " than that: mirror repair")
        }
        if options.json { return try Output.json(Document(result), compact: true) }
        let kind =
            switch result.kind {
            case .full: "everything"
            case .files: "changed files and what belongs to none"
            case .changes: "what was written to"
            }
        let frozen =
            result.frozenNs > 0
            ? ", the last \(Figures.bytes(result.frozenCopied)) of them in"
                + " \(Figures.duration(Double(result.frozenNs))) of standing still" : ""
        try Output.line(
            "epoch \(result.epoch): \(Figures.bytes(result.tally.copied)) differed of"
                + " \(Figures.bytes(result.tally.compared)) compared (\(kind))\(frozen), in"
                + " \(Figures.duration(Double(result.tookNs)))"
                + (result.isLive
                    ? "; the kernel writes to both" : result.isPoint ? "" : "; not one moment's state (--freeze)"))
    }

    private struct Document: Encodable {
        let schema = "pmemshim.mirror-pass/1"
        let epoch: UInt64
        /// `full`, `files` or `changes`.
        let compared: String
        let comparedBytes: UInt64
        let copiedBytes: UInt64
        let isPoint: Bool
        let isKernel: Bool
        let frozenNs: UInt64
        let frozenCopiedBytes: UInt64
        let tookNs: UInt64
        let cpuNs: UInt64
        let unreadablePages: [UInt64]
        let suspectPages: [UInt64]
        let healedPages: [UInt64]
        /// Of the part that was compared whatever is known.
        let scrubbedBytes: UInt64
        let missedPages: [UInt64]

        init(_ result: MirrorPass.Result) {
            epoch = result.epoch
            compared = result.kind.rawValue
            comparedBytes = result.tally.compared
            copiedBytes = result.tally.copied
            isPoint = result.isPoint
            isKernel = result.isLive
            frozenNs = result.frozenNs
            frozenCopiedBytes = result.frozenCopied
            tookNs = result.tookNs
            cpuNs = Self.processorTime
            unreadablePages = result.tally.unreadable
            suspectPages = result.tally.suspect
            healedPages = result.tally.healed
            scrubbedBytes = result.scrubbed
            missedPages = result.missed
        }

        /// Of this process since it began, ns.
        private static var processorTime: UInt64 {
            var time = timespec()
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
            return UInt64(max(time.nanoseconds, 0))
        }
    }
}
