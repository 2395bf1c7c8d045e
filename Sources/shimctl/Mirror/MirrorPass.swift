import CShimSys
import Glibc
import PmemDeviceFormat
import PmemShim

/// One pass: the mirror becomes as the primary is.
final class MirrorPass {
    struct Options {
        /// The file system stands still at the end, so that the mirror has one moment's state.
        var isFrozen = false
        /// Seconds after which a frozen file system is let go on whatever happens.
        var freezeLimit = 2.0
        /// The older state is given up while the pass is at work.
        var isInPlace = false
        /// Everything is compared, whatever is known.
        var isFull = false
        /// Bytes a second, of what is done while the file system is used.
        var rate: UInt64?
    }

    struct Result {
        var epoch: UInt64 = 0
        var kind = PassPlan.Kind.full
        var isPoint = false
        /// The kernel writes to both: nothing had to be copied.
        var isLive = false
        /// All of it was done at once, while the file system stood still.
        var wasLittle = false
        /// False: what was found was thrown away, and the mirror is as it was before.
        var isKept = true
        var tally = PageCopier.Tally()
        /// Bytes of the difference that was found while the file system stood still.
        var frozenCopied: UInt64 = 0
        var frozenNs: UInt64 = 0
        var tookNs: UInt64 = 0
        /// Of what was compared afterwards, whatever is known: bytes, and pages that differed unexplained.
        var scrubbed: UInt64 = 0
        var missed: [UInt64] = []
    }

    let devices: MirrorSet
    let options: Options
    let trace: (any WriteTrace)?
    let freezer: Freezer?
    /// Asked between two chunks: throws where the pass is to end.
    var check: () throws -> Void = {}
    /// What was written to at the end of the last pass may have been under way still.
    private var carried: PageRanges?
    /// How long the file system stood still before more was found than that, ns.
    var frozenBefore: UInt64 = 0
    /// Whether little can be expected to have changed: then all is done while the file system stands still.
    private let expectsLittle: Bool
    /// What the next pass has to look at again; nothing: that is not known.
    private(set) var toCarry: PageRanges? = PageRanges()
    /// It has failed because the tracer had a gap at the end.
    var hasLostTrace = false

    var primary: Primary { devices.primary }
    var mirror: MirrorDevice { devices.mirror }
    /// - Parameters:
    ///   - trace: what it has seen since the last pass counts where `carried` is there.
    ///   - carried: of the last pass of this process; nothing: there was none, and the trace has just begun.
    ///   - expectsLittle: the last pass of this process was done at once.
    init(
        _ set: MirrorSet, _ options: Options, trace: (any WriteTrace)?, carried: PageRanges?, freezer: Freezer?,
        expectsLittle: Bool = false
    ) {
        devices = set
        self.options = options
        self.trace = trace
        self.carried = carried
        self.freezer = freezer
        self.expectsLittle = expectsLittle
    }

    /// - Throws: a `Complaint`; the mirror then has its older state, or none, and says which.
    func run(_ progress: @escaping (UInt64, UInt64) -> Void = { _, _ in }) throws -> Result {
        do {
            return try attempt(progress, mayBeLittle: true)
        } catch let more as MoreThanLittle {
            carried = more.written
            var result = try attempt(progress, mayBeLittle: false)
            result.frozenNs = max(result.frozenNs, frozenBefore)
            return result
        }
    }

    private func attempt(_ progress: @escaping (UInt64, UInt64) -> Void, mayBeLittle: Bool) throws -> Result {
        let begin = ContinuousClock.now
        var result = Result()
        if carried == nil { try primary.demandWhole() }
        let mark = primary.mount == nil ? primary.writeMark : nil
        try finishLog()
        let before = try mirror.membership
        result.epoch = max(before.epoch, before.passEpoch) + 1
        let hasPoint = before.state == .point && before.passEpoch == 0
        let log = try MirrorLog(mirror)
        let usesLog = !devices.isLive && options.isFrozen && hasPoint && log.isThere && !options.isInPlace
        let place = devices.isLive ? PageCopier.Target.records : .place(epoch: result.epoch)
        let target = usesLog ? PageCopier.Target.log(log) : place

        let table = usableTable(before)
        let planner = PassPlanner(primary: primary)
        let traced = carried.flatMap { old in trace?.take().map { $0.union(old) } }
        if carried == nil { _ = trace?.take() }
        // What is changed while that is at work may be dirty still when it has ended.
        let time = FileTable.now
        // To look where it lies costs as much as to compare some pages.
        let isWorthIt = traced.map { $0.count + (trace?.recent.count ?? 0) > 8 } ?? true
        let journal = isWorthIt ? journalToLeaveOut(before) : nil
        let little = mayBeLittle ? try little(planner, table, traced, journal, expectsLittle) : nil
        // What is written through the page cache is seen on its way to the device, or else must be there first.
        if trace == nil, options.isFrozen, primary.mount?.directFiles != .all { try? planner.settle() }
        if little == nil { try primary.synchronise() }
        let late = trace.flatMap { $0.take() }
        if little != nil, late == nil { throw lostTrace() }
        // May be on their way to the device still while they are read here.
        let underWay = trace?.recent ?? PageRanges()
        let known = traced.flatMap { known in late.map { known.union($0) } }
        let plan =
            try little
            ?? planner.plan(
                table: table, traced: known, wantsAll: options.isFull || table == nil, lists: options.isFull, time: time
            )
        try requireKnown(plan)
        result.kind = plan.kind
        let written = known ?? late ?? PageRanges()
        // What was on its way when the trace had a gap nobody can tell.
        toCarry = trace != nil && late == nil ? nil : written

        let copier = PageCopier(primary, mirror, epoch: result.epoch)
        copier.checksRecords = before.passEpoch != 0 || before.state == .kernel
        // What was written to; of files that were stored to most pages are as they were.
        if plan.kind == .changes, !devices.isLive { copier.expected = written }
        copier.rate = options.rate
        copier.check = { [trace, check] in
            trace?.drain()
            try check()
        }
        let total = plan.pages.count * mirror.pageSize
        copier.progress = { progress($0, total) }
        if plan.kind == .full, table?.isStill == true, let unchanged = plan.unchanged {
            copier.isUnchanged = unchanged.contains
        }
        let holes =
            plan.kind == .full
            ? CommonHoles(
                [primary.file, mirror.file], dataOffset: mirror.geometry.dataOffset, pageSize: mirror.pageSize)
            : nil
        let sides = KernelSides(devices, epoch: result.epoch)
        // Of the journal only what is in it while the file system stands still, and that is nothing, as a rule.
        let soon = journal.map { plan.pages.subtracting($0.pages) } ?? plan.pages
        if little == nil { try copier.run(soon, to: target, overlay: usesLog ? log : nil, holes: holes) }

        var final = plan
        if primary.mount == nil {
            // Nobody has mounted it; others may write to it all the same.
            result.isPoint = mark != nil && primary.writeMark == mark
            if devices.isLive { try sides.mend(copier.different) }
        } else if options.isFrozen, let freezer {
            let copied = copier.tally.copied
            copier.rate = nil
            copier.isUnchanged = nil
            copier.check = {}
            let compared = try little != nil ? table : liveTable(plan)
            let earlier = little != nil ? written.union(underWay) : underWay.union(plan.pages.subtracting(soon))
            (final, result.frozenNs) = try frozen(
                freezer, planner, compared, earlier, copier, target, usesLog ? log : nil, sides, journal,
                isLittle: little != nil)
            try copier.release(to: target)
            result.frozenCopied = copier.tally.copied - copied
            result.isPoint = true
            result.wasLittle = little != nil
            toCarry = PageRanges()
        } else if devices.isLive {
            result.missed = try sides.stillDifferent(copier.different)
        }
        result.tally = copier.tally
        if devices.isLive {
            result.isLive = true
            result.tally.copied = sides.mended
            result.frozenCopied = sides.mended
        }
        if !result.tally.unreadable.isEmpty {
            // Of these the mirror has an older copy, or none: no state of one moment, and no proof of anything.
            result.isPoint = false
            if usesLog {
                result.isKept = false
                return result
            }
        }
        try end(result, usesLog ? log : nil, final, before)
        result.tookNs = UInt64(max((ContinuousClock.now - begin) / .nanoseconds(1), 0))
        return result
    }

    /// A state that was complete when the last copier ended comes first.
    private func finishLog() throws {
        do {
            try MirrorLog(mirror).apply()
        } catch {
            guard options.isInPlace else { throw error }
            try mirror.update {
                $0.log.count = 0
                $0.passEpoch = max($0.epoch, $0.log.epoch) + 1
            }
        }
    }

    /// What is known of the files since the last pass, if nothing can have changed unseen since.
    private func usableTable(_ membership: SetMembership) -> FileTable? {
        membership.passEpoch == 0 ? FileTable.current(membership, primary) : nil
    }

    private func end(_ result: Result, _ log: MirrorLog?, _ plan: PassPlan, _ before: SetMembership) throws {
        let time = UInt64(max(plan.time, 0))
        FileTable.forget(before.set)
        if let log {
            if log.count > 0 {
                try log.commit(epoch: result.epoch, time: time)
                try log.apply()
            } else {
                try mirror.update {
                    $0.epoch = result.epoch
                    $0.epochTime = time
                }
            }
        } else {
            try mirror.flush()
            let hasChanged = try mirror.membership.passEpoch != 0
            try mirror.update {
                $0.passEpoch = 0
                $0.epoch = result.epoch
                if devices.isLive {
                    $0.epochTime = time
                } else if result.isPoint {
                    $0.state = .point
                    $0.epochTime = time
                } else if hasChanged || !result.tally.unreadable.isEmpty || before.state == .empty
                    || before.state == .copied || before.state == .kernel
                {
                    $0.state = .copied
                    $0.epochTime = time
                }
            }
        }
        if result.tally.unreadable.isEmpty, var files = plan.files, let mount = primary.mount {
            if !result.isPoint, mount.directFiles != .all {
                // A write sets the file's time when it begins, and its last bytes may have been nowhere yet.
                files = files.mapValues { $0.changed < plan.time - PassPlanner.longestWrite ? $0 : $0.doubted }
            }
            FileTable(
                set: before.set, epoch: result.epoch, time: plan.time, mount: mount.identity, isStill: result.isPoint,
                files: files
            )
            .keep()
        }
    }
}
