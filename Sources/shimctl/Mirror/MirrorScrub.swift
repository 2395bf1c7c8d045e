import PmemShim

/// Compares the whole device bit by bit, a part after each pass, at a bounded rate: what differs though nothing says
/// that it has changed has been missed by the passes, or has changed by itself. Neither must ever happen.
final class MirrorScrub {
    struct Result {
        var compared: UInt64 = 0
        /// Pages of files that are unchanged, and differ: the mirror's copy is whole.
        var suspect: [UInt64] = []
        /// Other pages that differ and should not. Which side is right nobody knows: the mirror keeps its copy.
        var missed: [UInt64] = []
    }

    private var next: UInt64 = 0
    /// Pages that should have been compared by now, and were not: less than are read at once.
    private var owed = 0.0
    /// Pages of no file that differed after the last pass, and nothing explained it. What has just become the file
    /// system's own is written only later, and what it was before, a file's that is deleted, no pass has seen. After
    /// the next freeze all of that is on the device, and what differs then has been missed.
    private var doubtful: [UInt64] = []

    /// One part, just after a pass; none until it is worth a read.
    /// - Parameters:
    ///   - pages: how many, on the average.
    ///   - carried: what is known to have been written to, or may have been, since that pass; what is learnt is added.
    ///     Nothing: it is not known.
    func run(
        _ devices: MirrorSet, pages: Double, rate: UInt64, trace: (any WriteTrace)?, carried: inout PageRanges?,
        check: @escaping () throws -> Void
    ) throws -> Result {
        let (primary, mirror) = (devices.primary, devices.mirror)
        var result = Result()
        if !doubtful.isEmpty {
            let copier = PageCopier(primary, mirror, epoch: 0)
            try copier.run(PageRanges(doubtful.map { $0..<$0 + 1 }), to: .nowhere, overlay: nil)
            var found = Result()
            if try explain(copier.different, devices, trace, &carried, &found) {
                doubtful = []
                result = found
            }
        }
        let count = mirror.geometry.pageCount
        if next >= count { next = 0 }
        owed += pages
        let whole = UInt64(owed) / mirror.chunkPages * mirror.chunkPages
        guard whole > 0 else { return result }
        owed -= Double(whole)
        let part = next..<min(next + whole, count)
        next = part.upperBound
        let copier = PageCopier(primary, mirror, epoch: 0)
        copier.rate = rate
        copier.check = check
        let holes = CommonHoles(
            [primary.file, mirror.file], dataOffset: mirror.geometry.dataOffset, pageSize: mirror.pageSize)
        try copier.run(PageRanges([part]), to: .nowhere, overlay: nil, holes: holes)
        result.compared += copier.tally.compared
        var found = Result()
        guard try explain(copier.different, devices, trace, &carried, &found) else { return result }
        result.suspect += found.suspect
        doubtful += found.missed
        return result
    }

    /// Pages that differ, and that nothing explains.
    /// - Returns: false where it cannot be told.
    private func explain(
        _ pages: [UInt64], _ devices: MirrorSet, _ trace: (any WriteTrace)?, _ carried: inout PageRanges?,
        _ result: inout Result
    ) throws -> Bool {
        var left = pages
        // What has just been deleted is free only once the file system has said so on the device.
        for attempt in 0..<3 where !left.isEmpty {
            if attempt > 0 { Pause.take(seconds: 0.5) }
            guard let found = try explain(left, devices, trace, &carried) else { return false }
            left = found.missed
            result.suspect += found.suspect
        }
        result.missed += left
        return true
    }

    /// Whatever was written to meanwhile, or is being written to, may differ.
    /// - Returns: pages of unchanged files, and those that nothing explains; nothing: it cannot be told.
    private func explain(
        _ pages: [UInt64], _ devices: MirrorSet, _ trace: (any WriteTrace)?, _ carried: inout PageRanges?
    ) throws -> (suspect: [UInt64], missed: [UInt64])? {
        let (primary, mirror) = (devices.primary, devices.mirror)
        let unlinked = UnlinkedFiles.pages(primary)
        try primary.synchronise()
        guard let traced = trace?.take() else {
            carried = nil
            return nil
        }
        let known = carried.map { $0.union(traced) } ?? traced
        if carried != nil { carried = known }
        guard let mount = primary.mount, mount.tellsFiles, let free = primary.freePages(),
            let table = FileTable.proof(of: try mirror.membership, primary)
        else { return nil }
        var unchanged = FilePages(primary)
        var changed: [Range<UInt64>] = []
        var isKnown = true
        try mount.scan.forEachFile { file in
            guard let extents = FileScan.extents(of: file) else {
                isKnown = false
                return
            }
            if table.isUnchanged(file.inode, file.changed, FileScan.layout(extents)) { return unchanged.add(extents) }
            changed += FileScan.pages(extents, pageSize: primary.pageSize, pageCount: primary.geometry.pageCount)
        }
        guard isKnown else { return nil }
        // What a journal holds that is empty no pass copies.
        let journal = (devices.isLive ? nil : Ext4Journal(primary)?.pages) ?? PageRanges()
        let explained = known.union(free).union(PageRanges(changed)).union(unlinked).union(journal)
        let whole = unchanged.whole
        var result = (suspect: [UInt64](), missed: [UInt64]())
        let bitmap = BlockBitmap(primary)
        for page in pages where !explained.contains(page) {
            // Of no file, and kept by ext4 for one to come.
            if !whole.contains(page), bitmap?.isFree(page) == true { continue }
            let isSuspect = try whole.contains(page) && mirror.isWhole(page)
            if isSuspect { result.suspect.append(page) } else { result.missed.append(page) }
        }
        return result
    }
}
