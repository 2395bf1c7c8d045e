import CShimSys
import Synchronization

/// This process's record in the statistics file, once it has one. Guarded by the engine lock.
struct StatisticsRecord {
    var index: Int
    /// Which file it lies in: another may have taken that one's place.
    var device: UInt64
    var inode: UInt64
}

extension Engine {
    /// Claims a record in the user's statistics file and maps it; once per process, before its first window. Without
    /// one (no directory, foreign owner, no space, too many processes) the process is served all the same, and counts
    /// in memory of its own.
    func attachStatistics(_ held: LockHeld) {
        guard !observe.pointee.statisticsTried.load(ordering: .relaxed) else { return }
        observe.pointee.statisticsTried.store(true, ordering: .relaxed)
        guard let file = StatisticsFile(scratch(held)) else { return }
        defer { file.close() }
        guard let index = claimRecord(held, file), let base = file.map(index) else { return }
        observe.pointee.statistics = StatisticsRecord(
            index: index, device: file.file.facts.device, inode: file.file.facts.inode)
        observe.pointee.shards.store(1, ordering: .relaxed)
        observe.pointee.record.store(base, ordering: .releasing)
        ps_soft_memory_set(base, StatisticsFile.recordSize)
    }

    private func claimRecord(_ held: LockHeld, _ file: StatisticsFile) -> Int? {
        let me = Int32(truncatingIfNeeded: ps_sys_process())
        var identity = ProcessIdentity()
        identity.read(me, scratch(held), capacity: StatisticsFile.page)
        guard let index = file.claim(me, identity) else { return nil }
        for mount in 0..<observe.pointee.shown.load(ordering: .relaxed) { describe(held, mount, in: file, index) }
        if let note = Settings.text(Settings.current.pointee.bad) { file.note(index, note) }
        return index
    }

    /// Shows a mount of ours, which has been met for the first time.
    func show(_ held: LockHeld, mount index: UInt32, backing: UInt32, path: UnsafeBufferPointer<UInt8>) {
        guard index < UInt32(PS_STATS_MOUNTS) else { return }
        let entry = shownMount(held, Int(index))
        let count = min(path.count, Int(PS_STATS_PATH) &- 1)
        entry.pointee = ShownMount(backing: backing, pathLength: UInt32(count))
        for at in 0..<count { entry.path[at] = path[at] }
        let shown = observe.pointee.shown.load(ordering: .relaxed)
        observe.pointee.shown.store(max(shown, index &+ 1), ordering: .relaxed)
        withOwnRecord(held) { file, record in
            // The first shard has room for the first mount's counters in the page that every record has.
            _ = file.allocate(StatisticsFile.offset(ofShard: 0, in: record), StatisticsFile.shardSize)
            describe(held, index, in: file, record)
        }
    }

    private func describe(_ held: LockHeld, _ index: UInt32, in file: StatisticsFile, _ record: Int) {
        let source = shownMount(held, Int(index))
        let path = UnsafeBufferPointer(start: UnsafePointer(source.path), count: Int(source.pointee.pathLength))
        file.describe(
            record, mount: Int(index), count: Int(index) &+ 1, backing: source.pointee.backing, path: path)
    }

    /// Makes room for the counters of one more thread. False: there is none.
    private func addShard(_ held: LockHeld, _ number: Int) -> Bool {
        var isThere = observe.pointee.shards.load(ordering: .relaxed) & 1 << UInt32(number) != 0
        guard !isThere else { return true }
        withOwnRecord(held) { file, record in
            guard file.allocate(StatisticsFile.offset(ofShard: number, in: record), StatisticsFile.shardSize) else {
                return
            }
            isThere = true
            let bits = observe.pointee.shards.bitwiseOr(1 << UInt32(number), ordering: .releasing).newValue
            file.write(UInt32(32 &- bits.leadingZeroBitCount), at: PS_STATS_AT_SHARD_COUNT, of: record)
        }
        return isThere
    }

    private func withOwnRecord(_ held: LockHeld, _ body: (StatisticsFile, Int) -> Void) {
        let own = observe.pointee.statistics
        guard observe.pointee.record.load(ordering: .relaxed) != 0, let file = StatisticsFile(scratch(held)) else {
            return
        }
        if file.file.isSame(device: own.device, inode: own.inode) { body(file, own.index) }
        file.close()
    }

    /// Where the thread with these counters of its own counts once it may copy: in the record, if there is room for it.
    /// Without the engine lock.
    func sharedShard(_ own: UInt) -> UInt {
        guard observe.pointee.record.load(ordering: .relaxed) != 0 else { return own }
        let known = knownShard(own)
        guard known == own, let lock = EngineLock(self) else { return known }
        defer { lock.unlock() }
        guard claimTables(lock.held), addShard(lock.held, number(own)) else { return own }
        return knownShard(own)
    }

    /// Where the thread with these counters counts now; makes no room for another shard.
    func knownShard(_ own: UInt) -> UInt {
        let number = number(own)
        let record = observe.pointee.record.load(ordering: .acquiring)
        guard record != 0, observe.pointee.shards.load(ordering: .acquiring) & 1 << UInt32(number) != 0 else {
            return own
        }
        return record &+ UInt(StatisticsFile.headSize &+ number &* StatisticsFile.shardSize)
    }

    private func number(_ own: UInt) -> Int {
        Int((own &- shards) / UInt(StatisticsFile.shardSize)) & (Int(PS_STATS_SHARDS) &- 1)
    }

    /// Windows and mapped bytes of one mount, as they come and go: with the lock held, so only memory that cannot fault
    /// is counted in.
    /// - Parameters:
    ///   - bytes: of its address space, which has room for the file to grow.
    ///   - size: of the file, bytes.
    func countWindow(_ held: LockHeld, statistics: UInt32, bytes: Int64, size: Int64, mapped: Bool) {
        guard let thread = countingThread() else { return }
        let mount = Int(statistics & 3) &* CounterLayout.stride
        let sign: Int64 = mapped ? 1 : -1
        thread.addOwn(at: mount &+ CounterLayout.windows, UInt64(bitPattern: sign))
        thread.addOwn(at: mount &+ CounterLayout.mappedBytes, UInt64(bitPattern: sign &* bytes))
        if mapped {
            thread.addOwn(at: mount &+ CounterLayout.windowsTotal, 1)
            thread.addOwn(at: mount &+ CounterLayout.windowedBytes, UInt64(max(size, 0)))
        }
        observe.pointee.figuresDue.store(1, ordering: .relaxed)
    }

    /// Moves what the calling thread has counted in its own memory to where it counts now, if that is elsewhere.
    /// Without the engine lock.
    func publishOwnFigures() {
        observe.pointee.figuresDue.store(0, ordering: .relaxed)
        guard
            let record = UnsafeMutablePointer<ThreadRecord>(bitPattern: ps_thread_current().pointee.record),
            record.pointee.thread.load(ordering: .relaxed) > 0, record.pointee.ready.load(ordering: .relaxed) != 0
        else { return }
        CurrentThread(record: record).publish(
            shard: record.pointee.shard.load(ordering: .relaxed), mounts: mountsCounted)
    }

    private var mountsCounted: Int { Int(observe.pointee.shown.load(ordering: .relaxed)) }

    /// Before the process ends: what threads have counted in their own memory goes into the record. A process that
    /// never mapped a window has none yet, and leaves its figures in one now. Without the engine lock.
    func settleAtEnd() {
        // Not under a filter of system calls, which may kill for the first of them.
        guard maySettle else { return }
        if observe.pointee.record.load(ordering: .relaxed) == 0 {
            if !observe.pointee.statisticsTried.load(ordering: .relaxed) { leaveFigures() }
        } else if let thread = currentThread(), thread.record.pointee.ready.load(ordering: .relaxed) != 0 {
            for number in 0..<Int(PS_STATS_SHARDS) {
                thread.publish(shard: shards &+ UInt(number &* StatisticsFile.shardSize), mounts: mountsCounted)
            }
        } else if let lock = EngineLock(self) {
            // A thread that must not fault, on a small stack: by system calls.
            withOwnRecord(lock.held) { addFigures(lock.held, to: $0, $1) }
            lock.unlock()
        }
    }

    /// Whether there is anything to be shown at the end, and it may be.
    var maySettle: Bool {
        mountsCounted > 0 && ps_given_way() & GiveWay.stops == 0 && isInOwnProcess
    }

    /// Not a vfork child, to which neither the figures belong nor the lock.
    private var isInOwnProcess: Bool {
        Int(root.pointee.owner.load(ordering: .relaxed)) == ps_sys_process()
    }

    private func leaveFigures() {
        guard let lock = EngineLock(self) else { return }
        defer { lock.unlock() }
        let held = lock.held
        observe.pointee.statisticsTried.store(true, ordering: .relaxed)
        guard let file = StatisticsFile(scratch(held)) else { return }
        defer { file.close() }
        guard let index = claimRecord(held, file) else { return }
        if mountsCounted > 1 {
            _ = file.allocate(StatisticsFile.offset(ofShard: 0, in: index), StatisticsFile.shardSize)
        }
        addFigures(held, to: file, index)
    }

    /// Adds what all threads have counted in their own memory to the counters of the first one in the record. One
    /// mount's lie in the page that every record has.
    private func addFigures(_ held: LockHeld, to file: StatisticsFile, _ index: Int) {
        let size = mountsCounted &* CounterLayout.stride
        let total = UnsafeMutableRawPointer(scratch(held)) + 16_384
        let place = StatisticsFile.offset(ofShard: 0, in: index)
        guard ps_sys_pread(file.file.fd, total, size, place) == size else { return }
        for at in stride(from: 0, to: size, by: 8) {
            var sum = total.load(fromByteOffset: at, as: UInt64.self)
            for number in 0..<Int(PS_STATS_SHARDS) {
                let own = UnsafeMutablePointer<Atomic<UInt64>>(
                    bitPattern: shards &+ UInt(number &* StatisticsFile.shardSize &+ at))
                if let own, own.pointee.load(ordering: .relaxed) != 0 {
                    sum &+= own.pointee.exchange(0, ordering: .relaxed)
                }
            }
            total.storeBytes(of: sum, toByteOffset: at, as: UInt64.self)
        }
        _ = ps_sys_pwrite(file.file.fd, total, size, place)
    }
}
