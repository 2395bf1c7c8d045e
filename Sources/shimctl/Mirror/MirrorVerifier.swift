import CMirror
import PmemDeviceFormat
import PmemShim

/// Checks every page of a mirror against its checksum, and every page of the primary that should be as it was copied.
final class MirrorVerifier {
    enum Fault: String {
        /// The mirror's copy is not what was copied.
        case mirror
        /// The primary's page belongs to a file that has not changed, and is not what was copied.
        case primary
        /// Both.
        case both
        /// The primary's page cannot be read.
        case unreadable
        /// The kernel writes to both, and they differ. The mirror's is what was recorded of it.
        case different
    }

    struct Result {
        var faults: [UInt64: Fault] = [:]
        /// Pages of which the mirror has a record, and such pages of the primary that could be judged.
        var recorded: UInt64 = 0
        var judged: UInt64 = 0
        /// Pages of which unchanged files have a part only: the rest may be something else, and have changed.
        var shared: UInt64 = 0
        /// Pages that are not 0 on the mirror, and of which it has no record.
        var unknown: UInt64 = 0
        /// Pages that a pass which was cut short has left half done.
        var unfinished: UInt64 = 0
    }

    private let devices: MirrorSet
    private let primary: Primary
    private let mirror: MirrorDevice
    private let table: FileTable?
    /// Where the kernel writes to both: pages that differed when they were read.
    private var differing: [UInt64] = []
    var rate: UInt64?
    var progress: (UInt64) -> Void = { _ in }

    init(_ devices: MirrorSet) throws {
        self.devices = devices
        primary = devices.primary
        mirror = devices.mirror
        table = FileTable.proof(of: try mirror.membership, primary)
    }

    /// - Parameter readsAll: whether pages of the primary that cannot be judged are read as well, to find those that
    ///   cannot be read.
    func run(readsAll: Bool) throws -> Result {
        var result = Result()
        let membership = try mirror.membership
        // What the kernel has written to both has no record of its own.
        let isUnfinished = membership.passEpoch != 0 || membership.state == .kernel && !devices.isLive
        let (unchanged, shared) = isUnfinished ? (PageRanges(), PageRanges()) : try unchangedPages()
        result.shared = shared.count
        let size = Int(mirror.pageSize)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(MirrorDevice.chunk), alignment: 4_096)
        let mine = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(MirrorDevice.chunk), alignment: 4_096)
        defer {
            copy.deallocate()
            mine.deallocate()
        }
        let holes = CommonHoles(
            [primary.file, mirror.file], dataOffset: mirror.geometry.dataOffset, pageSize: mirror.pageSize)
        let zeros = ZeroPage(size)
        let begin = ContinuousClock.now
        var done: UInt64 = 0
        try PageRanges([0..<mirror.geometry.pageCount]).forEachChunk(of: mirror.chunkPages) { range in
            if holes?.isHole(range) == true { return }
            let records = try mirror.records(of: range)
            let used = UnsafeMutableRawBufferPointer(rebasing: copy[..<(range.count * size)])
            try mirror.read(used, page: range.lowerBound)
            let checksums = Self.checksums(used, size)
            for (index, page) in range.enumerated() {
                guard let record = records[page] else {
                    let part = UnsafeMutableRawBufferPointer(rebasing: used[index * size..<(index + 1) * size])
                    guard !zeros.isEqual(part) else { continue }
                    result.unknown += 1
                    if !isUnfinished { result.faults[page] = .mirror }
                    continue
                }
                result.recorded += 1
                guard record.checksum != checksums[index] else { continue }
                if isUnfinished { result.unfinished += 1 } else { result.faults[page] = .mirror }
            }
            try judge(range, records, unchanged, mine, used, readsAll, &result)
            done += UInt64(range.count * size)
            progress(range.upperBound)
            if let rate {
                let due = Double(done) / Double(rate) - (ContinuousClock.now - begin) / .seconds(1)
                if due > 0 { Pause.take(seconds: min(due, 1)) }
            }
        }
        if devices.isLive { try forgetEqual(&result) }
        try forgetChanged(&result)
        return result
    }

    /// The primary's side of a chunk.
    private func judge(
        _ range: Range<UInt64>, _ records: MirrorRecords, _ unchanged: PageRanges,
        _ room: UnsafeMutableRawBufferPointer, _ copy: UnsafeMutableRawBufferPointer, _ readsAll: Bool,
        _ result: inout Result
    ) throws {
        let wanted = range.filter { unchanged.contains($0) && records[$0] != nil }
        guard readsAll || !wanted.isEmpty else { return }
        let size = Int(mirror.pageSize)
        let mine = UnsafeMutableRawBufferPointer(rebasing: room[..<(range.count * size)])
        var unreadable: Set<UInt64> = []
        if try !primary.read(mine, page: range.lowerBound) {
            for (index, page) in range.enumerated() {
                let part = UnsafeMutableRawBufferPointer(rebasing: mine[index * size..<(index + 1) * size])
                if try !primary.read(part, page: page) { unreadable.insert(page) }
            }
        }
        for page in unreadable { result.faults[page] = .unreadable }
        if devices.isLive, !PageCopier.isEqual(mine, copy) {
            differing += range.enumerated().filter { index, page in
                let part = index * size..<(index + 1) * size
                return !unreadable.contains(page)
                    && !PageCopier.isEqual(.init(rebasing: mine[part]), .init(rebasing: copy[part]))
            }.map(\.element)
        }
        let checksums = Self.checksums(mine, size)
        for page in wanted where !unreadable.contains(page) {
            result.judged += 1
            guard records[page]?.checksum != checksums[Int(page - range.lowerBound)] else { continue }
            result.faults[page] = result.faults[page] == .mirror ? .both : .primary
        }
    }

    /// Whole pages of files that are as they were when the last pass copied them, and those of which they have a part.
    func unchangedPages() throws -> (whole: PageRanges, shared: PageRanges) {
        guard let table, let mount = primary.mount, mount.tellsFiles else { return (PageRanges(), PageRanges()) }
        var unchanged = FilePages(primary)
        var touched: [Range<UInt64>] = []
        var changed: [Range<UInt64>] = []
        let count = primary.geometry.pageCount
        try mount.scan.forEachFile { file in
            guard let extents = FileScan.extents(of: file) else { return }
            if table.isUnchanged(file.inode, file.changed, FileScan.layout(extents)) {
                unchanged.add(extents)
                touched += FileScan.pages(extents, pageSize: primary.pageSize, pageCount: count)
            } else {
                changed += FileScan.pages(extents, pageSize: primary.pageSize, pageCount: count)
            }
        }
        let whole = unchanged.whole.subtracting(PageRanges(changed))
        return (whole, PageRanges(touched).subtracting(whole))
    }

    /// The kernel writes to both, and knows of no records: what is equal is right, also if only after a moment.
    private func forgetEqual(_ result: inout Result) throws {
        let damaged = result.faults.filter { $0.value == .mirror }.keys
        let doubtful = Set(damaged).union(differing).sorted()
        let different = Set(try KernelSides(devices, epoch: 0).stillDifferent(doubtful))
        for page in doubtful {
            if !different.contains(page) {
                if result.faults[page] == .mirror { result.faults[page] = nil }
            } else if result.faults[page] == nil {
                result.faults[page] = .different
            }
        }
    }

    /// What differed because its file was changed meanwhile is no fault.
    private func forgetChanged(_ result: inout Result) throws {
        guard result.faults.values.contains(where: { $0 == .primary || $0 == .both }) else { return }
        try primary.synchronise()
        let unchanged = try unchangedPages().whole
        for (page, fault) in result.faults where !unchanged.contains(page) {
            if fault == .primary { result.faults[page] = nil }
            if fault == .both { result.faults[page] = .mirror }
        }
    }

    private static func checksums(_ bytes: UnsafeMutableRawBufferPointer, _ size: Int) -> [UInt32] {
        var result = [UInt32](repeating: 0, count: bytes.count / size)
        if let base = bytes.baseAddress { cmirror_checksums(base, size, result.count, &result) }
        return result
    }
}
