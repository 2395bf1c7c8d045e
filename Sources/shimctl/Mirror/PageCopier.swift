import CMirror
import CShimSys
import Glibc
import PmemShim

/// Compares pages of the primary with those of the mirror, and brings what differs to where it belongs.
final class PageCopier {
    struct Tally {
        /// Bytes that were compared, and that differed.
        var compared: UInt64 = 0
        var copied: UInt64 = 0
        /// Pages of the primary that cannot be read.
        var unreadable: [UInt64] = []
        /// Pages that differ though their file has not changed: the mirror's copy is whole, and is kept.
        var suspect: [UInt64] = []
        /// Pages that differed because the mirror's copy was damaged.
        var healed: [UInt64] = []
    }

    enum Target {
        /// Into the data area, under the mark that a pass is at work there.
        case place(epoch: UInt64)
        case log(MirrorLog)
        /// Kept in memory, for the file system stands still; what is too much goes to the log or the data area.
        indirect case memory(Target)
        /// Only ``different`` tells of it.
        case nowhere
        /// The same; pages that are equal have their records put right.
        case records
    }

    private let primary: Primary
    private let mirror: MirrorDevice
    /// Of this pass.
    private let epoch: UInt64
    private let source: UnsafeMutableRawBufferPointer
    private let copy: UnsafeMutableRawBufferPointer
    private(set) var tally = Tally()
    /// With the targets `nowhere` and `records`: the pages that differ.
    private(set) var different: [UInt64] = []
    /// Bytes a second; nothing: as fast as it goes.
    var rate: UInt64?
    /// Asked between two chunks: throws where the pass is to end.
    var check: () throws -> Void = {}
    /// Told of bytes compared.
    var progress: (UInt64) -> Void = { _ in }
    /// Whether a page is surely as it was at the last pass.
    var isUnchanged: ((UInt64) -> Bool)?
    /// Whether records of equal pages are checked, too.
    var checksRecords = false
    private var held: [(page: UInt64, bytes: [UInt8])] = []

    /// What is kept in memory at most, bytes.
    private static let mostHeld = 256 << 20

    init(_ primary: Primary, _ mirror: MirrorDevice, epoch: UInt64) {
        self.epoch = epoch
        self.primary = primary
        self.mirror = mirror
        source = .allocate(byteCount: Int(MirrorDevice.chunk), alignment: 4_096)
        copy = .allocate(byteCount: Int(MirrorDevice.chunk), alignment: 4_096)
    }

    deinit {
        source.deallocate()
        copy.deallocate()
    }

    /// - Parameters:
    ///   - overlay: what the mirror's state is beside its data area.
    ///   - holes: where given, parts that are holes in both images are passed over.
    func run(_ pages: PageRanges, to target: Target, overlay: MirrorLog?, holes: HolePair? = nil) throws {
        let begin = ContinuousClock.now
        var done: UInt64 = 0
        try pages.forEachChunk(of: mirror.chunkPages) { range in
            try check()
            if let holes, holes.isHole(range) { return }
            try compare(range, target, overlay)
            done += UInt64(range.count) * mirror.pageSize
            progress(tally.compared)
            if let rate {
                let due = Double(done) / Double(rate) - (ContinuousClock.now - begin) / .seconds(1)
                if due > 0 { Pause.take(seconds: min(due, 1)) }
            }
        }
    }

    /// Brings what was kept in memory to where it belongs.
    func release(to target: Target) throws {
        for (page, bytes) in held {
            source.copyBytes(from: bytes)
            let part = UnsafeMutableRawBufferPointer(rebasing: source[..<bytes.count])
            try put([page], of: page..<page + 1, part, target)
        }
        held = []
    }

    private func compare(_ range: Range<UInt64>, _ target: Target, _ overlay: MirrorLog?) throws {
        let size = Int(mirror.pageSize)
        let mine = UnsafeMutableRawBufferPointer(rebasing: source[..<(range.count * size)])
        let other = UnsafeMutableRawBufferPointer(rebasing: copy[..<(range.count * size)])
        let isReadable = try primary.read(mine, page: range.lowerBound)
        try mirror.read(other, page: range.lowerBound)
        tally.compared += UInt64(mine.count)
        let records = try mirror.records(of: range)
        var different: Set<UInt64> = []
        var unreadable: Set<UInt64> = []
        let hasOverlay = (overlay?.count ?? 0) > 0
        if !isReadable || hasOverlay || !Self.isEqual(mine, other) {
            for page in range {
                let bytes = part(mine, page, range)
                let old = part(other, page, range)
                if !isReadable, try !primary.read(bytes, page: page) {
                    tally.unreadable.append(page)
                    unreadable.insert(page)
                    continue
                }
                if hasOverlay, let overlay { _ = try overlay.read(old, page: page) }
                if !Self.isEqual(bytes, old), !isSuspect(page, old, records) {
                    different.insert(page)
                }
            }
        }
        tally.copied += UInt64(different.count * size)
        try put(different.sorted(), of: range, mine, target)
        switch target {
        case .place, .records: try complete(range, other, records) { different.contains($0) || unreadable.contains($0) }
        // What the log has gets its record with it.
        case .log(let log):
            try complete(range, other, records) { different.contains($0) || unreadable.contains($0) || log.has($0) }
        case .memory, .nowhere: break
        }
    }

    /// Pages that are equal on both sides have records as well, which tell of what they hold.
    private func complete(
        _ range: Range<UInt64>, _ bytes: UnsafeMutableRawBufferPointer, _ before: MirrorRecords,
        except isLeftOut: (UInt64) -> Bool
    ) throws {
        var wanted: [UInt64] = []
        for page in range where !isLeftOut(page) {
            let record = before[page]
            // A pass that was cut short may have written a page, and not its record.
            if record == nil || checksRecords && record?.checksum != checksum(part(bytes, page, range)) {
                wanted.append(page)
            }
        }
        if !wanted.isEmpty { try record(wanted, of: range, bytes, epoch) }
    }

    private func record(
        _ pages: [UInt64], of range: Range<UInt64>, _ bytes: UnsafeMutableRawBufferPointer, _ epoch: UInt64
    ) throws {
        let records = try mirror.records(of: range)
        for page in pages { records.set(.init(epoch: epoch, checksum: checksum(part(bytes, page, range))), of: page) }
        try mirror.write(records)
    }

    private func checksum(_ bytes: UnsafeMutableRawBufferPointer) -> UInt32 {
        bytes.baseAddress.map { cmirror_checksum($0, bytes.count) } ?? 0
    }

    /// A page whose file has not changed, and of which the mirror has what it once copied: the primary's is what has
    /// changed by itself.
    private func isSuspect(_ page: UInt64, _ old: UnsafeMutableRawBufferPointer, _ records: MirrorRecords) -> Bool {
        guard let isUnchanged, isUnchanged(page), let record = records[page], let base = old.baseAddress else {
            return false
        }
        if cmirror_checksum(base, old.count) == record.checksum {
            tally.suspect.append(page)
            return true
        }
        tally.healed.append(page)
        return false
    }

    /// Both have the same size.
    static func isEqual(_ one: UnsafeMutableRawBufferPointer, _ other: UnsafeMutableRawBufferPointer) -> Bool {
        guard let first = one.baseAddress, let second = other.baseAddress else { return true }
        return memcmp(first, second, one.count) == 0
    }

    private func part(_ bytes: UnsafeMutableRawBufferPointer, _ page: UInt64, _ range: Range<UInt64>)
        -> UnsafeMutableRawBufferPointer
    {
        let start = Int((page - range.lowerBound) * mirror.pageSize)
        return UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + Int(mirror.pageSize)])
    }

    /// Some pages of those in `bytes`, which begin with the first of `range`.
    private func put(
        _ pages: [UInt64], of range: Range<UInt64>, _ bytes: UnsafeMutableRawBufferPointer, _ target: Target
    ) throws {
        guard !pages.isEmpty else { return }
        switch target {
        case .memory(let next):
            if (held.count + pages.count) * Int(mirror.pageSize) > Self.mostHeld {
                return try put(pages, of: range, bytes, next)
            }
            for page in pages { held.append((page, Array(part(bytes, page, range)))) }
        case .nowhere, .records: different += pages
        case .log(let log):
            for page in pages { try log.put(UnsafeRawBufferPointer(part(bytes, page, range)), page: page) }
        case .place(let epoch):
            try mark(epoch)
            for run in PageRanges(pages.map { $0..<$0 + 1 }).ranges {
                let start = Int((run.lowerBound - range.lowerBound) * mirror.pageSize)
                let end = start + run.count * Int(mirror.pageSize)
                try mirror.write(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), page: run.lowerBound)
            }
            try record(pages, of: range, bytes, epoch)
        }
    }

    /// Before the first byte of the data area is changed: what it holds is no state of any moment until the pass ends.
    private func mark(_ epoch: UInt64) throws {
        if try mirror.membership.passEpoch != epoch { try mirror.update { $0.passEpoch = epoch } }
    }
}
