import CShimSys
import Synchronization

extension Engine {
    /// The whole of the decision, for a range that turned out to be another than expected.
    @inline(never)
    func isServable(_ target: Target, _ offset: Int64, _ count: Int, limit: Int64) -> Bool {
        target.looksServable(offset, count, limit: limit) || arePagesKnown(target, offset, count, limit: limit)
    }

    /// A range of a file with holes cannot be served as far as is known. Looks again now and then; true: try once more.
    @inline(never)
    func lookCloser(_ target: Target, _ offset: Int64, _ count: Int, writes: Bool) -> Bool {
        let inode = target.inode
        guard inode.has(InodeFlag.sparse) else { return true }
        let turn = inode.pointee.sparseCalls.wrappingAdd(1, ordering: .relaxed).newValue
        let isDurable = target.word.has(DescriptorWord.durable)
        let wait = isDurable ? 0 : max(inode.cutWait, inode.vainWait)
        // Not at the first: the file has just been learnt.
        if turn & (64 << wait &- 1) == 1, turn != 1 {
            relearn(target)
            guard inode.has(InodeFlag.sparse) else { return true }
        }
        warm(target, offset, count, writes: writes)
        // Where everything is to be served at once (tests), everything is looked at at once.
        let isEager = Settings.current.pointee.map_after == 0
        // What is cold may soon be served.
        guard isWarm(target, offset) else { return false }
        let isDue =
            turn & (32 << wait &- 1) == 1 && (isDurable || !Settings.isByPrice || inode.hasLostPageArray)
        guard isEager || isDue else {
            if Settings.isByPrice, !isDurable { inode.noteVain() }
            return false
        }
        let end = offset &+ Int64(count)
        var at = offset
        // The longest file ends where the numbers do.
        while at >= offset, at < end, at &- offset < Int64(Allocation.longest) {
            look(target, at)
            at = (at | Allocation.lookMask) &+ 1
        }
        // What has been found is of use only if it can be proved.
        if inode.isProbeElsewhere(end) { _ = moveProbe(inode) }
        if isEager || turn & (1_024 << wait &- 1) == 1 { proveRegion(target, offset) }
        let limit =
            writes
            ? inode.pointee.writeLimit.load(ordering: .relaxed) : inode.pointee.readLimit.load(ordering: .relaxed)
        let isFound = isServable(target, offset, count, limit: limit)
        if isFound { inode.noteFound() } else if Settings.isByPrice, !isDurable { inode.noteVain() }
        return isFound
    }

    /// [offset, end) is not served because the page for probes lies before its end, or behind that of the file. It is
    /// moved for one in 32 such calls, which costs half of what they have lost; more rarely in a file that is cut again
    /// and again; and not for what is too cold to be served anyhow. True: try once more.
    @inline(never)
    func catchUp(_ target: Target, _ offset: Int64, _ end: Int64) -> Bool {
        guard target.inode.isProbeElsewhere(end), isWarm(target, offset) else { return false }
        let turn = target.inode.pointee.sparseCalls.wrappingAdd(1, ordering: .relaxed).newValue
        guard Settings.current.pointee.map_after == 0 || turn & (32 << target.inode.cutWait &- 1) == 1 else {
            // A file that goes on growing under its reader.
            if Settings.isByPrice { target.inode.noteVain() }
            return false
        }
        return moveProbe(target.inode)
    }

    /// The first call that a window serves: one of so many is told of, as of the calls before it, and all where
    /// everything is to be done at once (tests).
    @inline(never)
    func sampleMapped(_ target: Target, _ offset: Int64, writes: Bool) {
        let turn =
            Settings.isByPrice
            ? target.thread.record.pointee.own.turn.load(ordering: .relaxed)
            : windows.pointee.windows.load(ordering: .relaxed)
        guard Settings.current.pointee.map_after == 0 || turn & (PS_PAGES_SAMPLE &- 1) == 1 else { return }
        sample(target, offset, writes: writes, turn: turn)
    }
}
