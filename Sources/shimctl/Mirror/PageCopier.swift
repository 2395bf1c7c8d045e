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

        /// Whether pages that are equal on both sides get the records that they lack.
        fileprivate var completesRecords: Bool {
            switch self {
            case .place, .log, .records: true
            case .memory, .nowhere: false
            }
        }
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
    private lazy var zeros = ZeroPage(Int(mirror.pageSize))
    /// Pages most of which will differ: their checksums tell, and the mirror's bytes need not be read.
    var expected = PageRanges()
    private let held: HeldPages

    /// Calls for one chunk of 2 MiB of the mirror.
    private static let mostReads = 8
    /// What is kept in memory at most, bytes.
    private static let mostHeld = 256 << 20

    init(_ primary: Primary, _ mirror: MirrorDevice, epoch: UInt64) {
        self.epoch = epoch
        self.primary = primary
        self.mirror = mirror
        held = HeldPages(pageSize: mirror.pageSize)
        source = ChunkPool.take()
        copy = ChunkPool.take()
    }

    deinit {
        ChunkPool.give(source)
        ChunkPool.give(copy)
    }

    /// - Parameters:
    ///   - overlay: what the mirror's state is beside its data area.
    ///   - holes: where given, parts that are holes in both images are passed over.
    func run(_ pages: PageRanges, to target: Target, overlay: MirrorLog?, holes: CommonHoles? = nil) throws {
        let begin = ContinuousClock.now
        var done: UInt64 = 0
        try pages.forEachChunk(of: mirror.chunkPages) { range in
            try check()
            if let holes, holes.isHole(range), try !checksRecords || holdsNothing(range) { return }
            try compare(range, target, overlay)
            done += UInt64(range.count) * mirror.pageSize
            progress(tally.compared)
            if let rate {
                let due = Double(done) / Double(rate) - (ContinuousClock.now - begin) / .seconds(1)
                if due > 0 { Pause.take(seconds: min(due, 1)) }
            }
        }
    }

    /// Whether all records of these pages are of pages that hold nothing. What the kernel has discarded on both sides
    /// has its old ones.
    private func holdsNothing(_ range: Range<UInt64>) throws -> Bool {
        let records = try mirror.records(of: range)
        return range.allSatisfy { records[$0].map { $0.checksum == zeros.checksum } ?? true }
    }

    /// Brings what was kept in memory to where it belongs.
    func release(to target: Target) throws {
        if case .log(let log) = target { return try held.give { try log.put($0, taking: $1, $2) } }
        try held.forEachRoom { pages, bytes, checksums in
            for run in PageRanges(ascending: pages).ranges {
                guard let first = pages.firstIndex(of: run.lowerBound) else { continue }
                let start = (first - pages.startIndex) * Int(mirror.pageSize)
                let part = bytes[start..<start + run.count * Int(mirror.pageSize)]
                let sums = Array(checksums[(checksums.startIndex + first - pages.startIndex)...].prefix(run.count))
                try put(Array(run), of: run, UnsafeRawBufferPointer(rebasing: part), sums, target)
            }
        }
        held.removeAll()
    }

    private enum Verdict {
        case unknown, equal, different, unreadable
    }

    private func compare(_ range: Range<UInt64>, _ target: Target, _ overlay: MirrorLog?) throws {
        let size = Int(mirror.pageSize)
        let mine = UnsafeMutableRawBufferPointer(rebasing: source[..<(range.count * size)])
        let other = UnsafeMutableRawBufferPointer(rebasing: copy[..<(range.count * size)])
        let isReadable = try primary.read(mine, page: range.lowerBound)
        tally.compared += UInt64(mine.count)
        // Where nothing is known of a page, and its record stays as it is, nobody asks for that.
        let isExpected = isReadable && !checksRecords && expected.count(in: range) > range.count / 2
        let needsRecords = isExpected || isUnchanged != nil || target.completesRecords
        let records = needsRecords ? try mirror.records(of: range) : nil
        let overlay = overlay.flatMap { $0.count > 0 ? $0 : nil }
        var sums: [UInt32] = []
        var verdicts = [Verdict](repeating: .unknown, count: range.count)
        if isExpected, let records {
            sums = checksums(mine)
            for (index, page) in range.enumerated() where overlay?.has(page) != true {
                // A record that is wrong leads to a copy that was not needed, and to nothing worse.
                if let record = records[page], record.checksum != sums[index] { verdicts[index] = .different }
            }
        }
        let unknown = PageRanges(ascending: range.lazy.filter { verdicts[Int($0 - range.lowerBound)] == .unknown })
        // Over a network a call takes as long as to bring a part of the chunk: of many small ones all is read at once.
        let isReadAtOnce = unknown.ranges.count > Self.mostReads
        if isReadAtOnce { try mirror.read(other, page: range.lowerBound) }
        for run in unknown.ranges {
            let (bytes, old) = (parts(mine, run, range), parts(other, run, range))
            if !isReadAtOnce { try mirror.read(old, page: run.lowerBound) }
            let isEqual = isReadable && overlay == nil && Self.isEqual(bytes, old)
            for page in run {
                verdicts[Int(page - range.lowerBound)] =
                    try isEqual ? .equal : verdict(page, of: range, mine, other, isReadable, overlay, records)
            }
        }
        let different = range.filter { verdicts[Int($0 - range.lowerBound)] == .different }
        tally.copied += UInt64(different.count * size)
        if !different.isEmpty, sums.isEmpty { sums = checksums(mine) }
        try put(different, of: range, UnsafeRawBufferPointer(mine), sums, target)
        guard target.completesRecords, let records else { return }
        try complete(range, other, records) {
            // What the log has gets its record with it.
            if case .log(let log) = target, log.has($0) { return true }
            return verdicts[Int($0 - range.lowerBound)] != .equal
        }
    }

    /// Of one page, by its bytes.
    private func verdict(
        _ page: UInt64, of range: Range<UInt64>, _ mine: UnsafeMutableRawBufferPointer,
        _ other: UnsafeMutableRawBufferPointer, _ isReadable: Bool, _ overlay: MirrorLog?, _ records: MirrorRecords?
    ) throws -> Verdict {
        let (bytes, old) = (part(mine, page, range), part(other, page, range))
        if !isReadable, try !primary.read(bytes, page: page) {
            tally.unreadable.append(page)
            return .unreadable
        }
        if let overlay { _ = try overlay.read(old, page: page) }
        return Self.isEqual(bytes, old) || isSuspect(page, old, records) ? .equal : .different
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
        guard !wanted.isEmpty else { return }
        try record(wanted, of: range) { checksum(part(bytes, $0, range)) }
    }

    private func record(_ pages: [UInt64], of range: Range<UInt64>, _ checksum: (UInt64) -> UInt32) throws {
        let records = try mirror.records(of: range)
        for page in pages { records.set(.init(epoch: epoch, checksum: checksum(page)), of: page) }
        try mirror.write(records)
    }

    /// Of each page.
    private func checksums(_ bytes: UnsafeMutableRawBufferPointer) -> [UInt32] {
        let count = bytes.count / Int(mirror.pageSize)
        return [UInt32](unsafeUninitializedCapacity: count) { sums, written in
            guard let base = bytes.baseAddress, let first = sums.baseAddress else { return }
            cmirror_checksums(base, Int(mirror.pageSize), count, first)
            written = count
        }
    }

    private func checksum(_ bytes: UnsafeMutableRawBufferPointer) -> UInt32 {
        bytes.baseAddress.map { cmirror_checksum($0, bytes.count) } ?? 0
    }

    /// A page whose file has not changed, and of which the mirror has what it once copied: the primary's is what has
    /// changed by itself.
    private func isSuspect(_ page: UInt64, _ old: UnsafeMutableRawBufferPointer, _ records: MirrorRecords?) -> Bool {
        guard let isUnchanged, isUnchanged(page), let record = records?[page], let base = old.baseAddress else {
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
        parts(bytes, page..<page + 1, range)
    }

    private func parts(_ bytes: UnsafeMutableRawBufferPointer, _ pages: Range<UInt64>, _ range: Range<UInt64>)
        -> UnsafeMutableRawBufferPointer
    {
        let start = Int((pages.lowerBound - range.lowerBound) * mirror.pageSize)
        return UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + pages.count * Int(mirror.pageSize)])
    }

    /// Some pages of those in `bytes`, which begin with the first of `range`, as `sums` do.
    private func put(
        _ pages: [UInt64], of range: Range<UInt64>, _ bytes: UnsafeRawBufferPointer, _ sums: [UInt32], _ target: Target
    ) throws {
        guard !pages.isEmpty else { return }
        if case .memory(let next) = target, held.size + pages.count * Int(mirror.pageSize) > Self.mostHeld {
            return try put(pages, of: range, bytes, sums, next)
        }
        if case .place(let epoch) = target { try mark(epoch) }
        for run in PageRanges(ascending: pages).ranges {
            let first = Int(run.lowerBound - range.lowerBound)
            let start = first * Int(mirror.pageSize)
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + run.count * Int(mirror.pageSize)])
            switch target {
            case .memory: held.add(run, part, sums[first..<first + run.count])
            case .nowhere, .records: different += run
            case .log(let log): try log.put(ArraySlice(run), part, sums[first..<first + run.count])
            case .place: try mirror.write(part, page: run.lowerBound)
            }
        }
        if case .place = target { try record(pages, of: range) { sums[Int($0 - range.lowerBound)] } }
    }

    /// Before the first byte of the data area is changed: what it holds is no state of any moment until the pass ends.
    private func mark(_ epoch: UInt64) throws {
        if try mirror.membership.passEpoch != epoch { try mirror.update { $0.passEpoch = epoch } }
    }
}
