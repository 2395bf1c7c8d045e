import Glibc
import PmemDeviceFormat
import PmemShim

/// What is done while the file system stands still.
extension MirrorPass {
    /// What is to be compared where that is little, and mapped directly: it is done at once while the file system
    /// stands still. Each time that what is dirty is written back costs programs a page fault for every page they go on
    /// writing to; so there is one such time, and not two. And to look at a file takes as long as to copy two of its
    /// pages: what was little the last time is taken for little again, otherwise the sizes of what has changed tell.
    /// - Returns: what is known of it beforehand; nothing where it is more, or not known.
    func little(
        _ planner: PassPlanner, _ table: FileTable?, _ traced: PageRanges?, _ journal: Ext4Journal?, _ isExpected: Bool
    ) throws -> PassPlan? {
        guard options.isFrozen, freezer != nil, !options.isFull, let table, let traced,
            primary.mount?.directFiles == .all,
            primary.mount?.tellsFiles == true
        else { return nil }
        let known = traced.subtracting(journal?.pages ?? PageRanges()).count * mirror.pageSize
        guard known <= Self.mostAtOnce else { return nil }
        if !isExpected {
            guard let changed = try planner.changedBytes(since: table), known + changed <= Self.mostAtOnce else {
                return nil
            }
        }
        return PassPlan(kind: .changes, pages: traced, files: nil, time: FileTable.now, unchanged: nil)
    }

    /// What was taken for little is more, seen while the file system stood still: it has to be copied before that.
    struct MoreThanLittle: Error {
        /// What has been written to, as far as the tracer tells.
        let written: PageRanges
    }

    /// Bytes: some milliseconds of comparing.
    static let mostAtOnce: UInt64 = 64 << 20

    /// What the live part of the pass has seen of the files.
    func liveTable(_ live: PassPlan) throws -> FileTable? {
        let membership = try mirror.membership
        return live.files.map {
            FileTable(
                set: membership.set, epoch: membership.epoch, time: live.time, mount: primary.mount?.identity ?? 0,
                isStill: false,
                // Without the trace nobody knows of a direct write that was under way.
                files: trace != nil || primary.mount?.directFiles == .all
                    ? $0
                    : $0.mapValues { $0.changed < live.time - RecentWrites.longestFlightNs ? $0 : $0.doubted })
        }
    }

    /// - Parameters:
    ///   - table: what the files were when they were compared last.
    ///   - written: what may have been written to since, beside what the tracer tells now.
    ///   - journal: left out where it is empty.
    ///   - isLittle: nothing was compared before.
    func frozen(
        _ freezer: Freezer, _ planner: PassPlanner, _ table: FileTable?, _ written: PageRanges, _ copier: PageCopier,
        _ target: PageCopier.Target, _ log: MirrorLog?, _ sides: KernelSides,
        _ journal: Ext4Journal?, isLittle: Bool
    ) throws -> (PassPlan, UInt64) {
        // The long part first, while all goes on. What is mapped directly is only flushed.
        if primary.mount?.directFiles != .all { try primary.synchronise() }
        // Once the trace has a gap, it has told nothing.
        let isTraced = trace != nil
        try freezer.freeze()
        var plan: PassPlan
        do {
            let traced = trace?.take()?.union(written)
            if isTraced, traced == nil { throw lostTrace() }
            var planner = planner
            if isLittle {
                planner.check = {
                    // Half of what it may stand still has gone, and nothing is copied yet.
                    if !freezer.holds { throw MoreThanLittle(written: traced ?? PageRanges()) }
                }
            }
            plan =
                try planner.nothing(since: table, traced: traced)
                ?? planner.plan(table: table, traced: traced, wantsAll: false, lists: false, time: nil)
            try requireKnown(plan)
            let empty = journal.flatMap { $0.isEmpty ? $0 : nil }
            let pages = empty.map { plan.pages.subtracting($0.pages) } ?? plan.pages
            if isLittle, plan.kind != .changes || pages.count * mirror.pageSize > Self.mostAtOnce {
                throw MoreThanLittle(written: traced ?? PageRanges())
            }
            copier.expected = plan.kind == .changes && !devices.isLive ? traced ?? PageRanges() : PageRanges()
            try copier.run(pages, to: devices.isLive ? target : .memory(target), overlay: log)
            if devices.isLive { try sides.mend(copier.different) }
            if let empty, !empty.isEmpty { throw wroteAllTheSame() }
        } catch let more as MoreThanLittle {
            frozenBefore = try freezer.thaw()
            throw more
        } catch {
            _ = try? freezer.thaw()
            throw error
        }
        return (plan, try freezer.thaw())
    }

    /// The journal, where it may be left out if it is empty once the file system stands still. Where the mirror has
    /// one moment's state already, all numbers in its journal are below that of the next transaction then.
    /// - Parameter before: what the mirror is before the pass, with an empty log.
    func journalToLeaveOut(_ before: SetMembership) -> Ext4Journal? {
        guard options.isFrozen, freezer != nil, !options.isFull, !devices.isLive, before.state == .point,
            before.passEpoch == 0, let journal = Ext4Journal(primary), journal.isContinued(on: mirror)
        else { return nil }
        return journal
    }

    /// After an error ext4 does so, past the freeze.
    private func wroteAllTheSame() -> Complaint {
        Complaint(
            .failure,
            "the file system has written to its journal while it stood still: the mirror keeps its older state")
    }

    func lostTrace() -> Complaint {
        hasLostTrace = true
        return Complaint(
            .failure,
            "the kernel's tracer has lost what was written at the end: the mirror keeps its older state, and the next"
                + " passes go by the times of files")
    }

    /// All of it would take too long to compare, while everybody waits.
    func requireKnown(_ plan: PassPlan) throws {
        guard options.isFrozen, let file = plan.unknown else { return }
        throw Complaint(
            .failure,
            "\(file.printable) cannot be opened, perhaps because of a lease (fcntl(2)), so that it is not known where"
                + " it lies: the mirror keeps its older state")
    }
}
