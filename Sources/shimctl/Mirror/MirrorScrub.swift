import PmemShim

/// Compares the whole device bit by bit, a part after each pass, at a bounded rate: what differs though nothing says
/// that it has changed has been missed by the passes, or has changed by itself. Neither must ever happen.
final class MirrorScrub {
    struct Result {
        var compared: UInt64 = 0
        /// Pages of files that are unchanged, and differ: the mirror's copy is whole.
        var suspect: [UInt64] = []
        /// Other pages that differ and should not: they are copied by the next pass.
        var missed: [UInt64] = []
    }

    private var next: UInt64 = 0

    /// One part, just after a pass.
    /// - Parameters:
    ///   - pages: how many.
    ///   - carried: what is known to have been written to, or may have been, since that pass; what is learnt is added.
    ///     Nothing: it is not known.
    func run(
        _ devices: MirrorSet, pages: UInt64, rate: UInt64, trace: BlockTrace?, carried: inout PageRanges?,
        check: @escaping () throws -> Void
    ) throws -> Result {
        let (primary, mirror) = (devices.primary, devices.mirror)
        let count = mirror.geometry.pageCount
        if next >= count { next = 0 }
        let part = next..<min(next + max(pages, mirror.chunkPages), count)
        next = part.upperBound
        let copier = PageCopier(primary, mirror, epoch: 0)
        copier.rate = rate
        copier.check = check
        let holes = HolePair(
            primary.file, mirror.file, dataOffset: mirror.geometry.dataOffset, pageSize: mirror.pageSize)
        try copier.run(PageRanges([part]), to: .nowhere, overlay: nil, holes: holes)
        var result = Result(compared: copier.tally.compared)
        guard !copier.different.isEmpty else { return result }

        // Whatever was written to meanwhile, or is being written to, may differ.
        try primary.synchronise()
        guard let traced = trace?.take() else {
            carried = nil
            return result
        }
        let known = carried.map { $0.union(traced) } ?? traced
        if carried != nil { carried = known }
        let membership = try mirror.membership
        guard let mount = primary.mount, mount.tellsFiles, let free = primary.freePages(),
            let table = FileTable.proof(of: membership, primary)
        else { return result }
        var unchanged = FilePages(primary)
        var changed: [Range<UInt64>] = []
        var isKnown = true
        try mount.scan.forEachFile { file in
            guard let extents = FileScan.extents(of: file) else {
                isKnown = false
                return
            }
            if table.isUnchanged(file.inode, file.changed, FileScan.layout(extents)) { return unchanged.add(extents) }
            changed += FileScan.pages(extents, pageSize: primary.pageSize, pageCount: count)
        }
        guard isKnown else { return result }
        let explained = known.union(free).union(PageRanges(changed))
        let whole = unchanged.whole
        for page in copier.different where !explained.contains(page) {
            let isSuspect = try whole.contains(page) && mirror.isWhole(page)
            if isSuspect { result.suspect.append(page) } else { result.missed.append(page) }
        }
        carried = carried.map { $0.union(PageRanges(result.missed.map { $0..<$0 + 1 })) }
        return result
    }
}
