import CMirror
import CShimSys
import PmemDeviceFormat
import PmemShim

/// Where a pass keeps what differs until all of it is there: the data area holds the older state till then. An intent
/// log: once its superblock says so, what it holds is brought into the data area, as often as that is cut short.
final class MirrorLog {
    private let mirror: MirrorDevice
    private let offset: UInt64
    private let slots: UInt64
    private let data: UInt64
    private var entries = LogEntries()
    /// The last slots, from `pendingFirst` on, are here yet and not on the mirror.
    private let pending = ChunkPool.take()
    private var pendingFirst = 0
    private var pendingCount = 0
    /// What it holds was found not to be what was written, or could not be read.
    private(set) var isDamaged = false
    /// Slots whose bytes are still here as well, in order.
    private var kept: [(slots: Range<Int>, room: UnsafeMutableRawBufferPointer)] = []

    init(_ mirror: MirrorDevice) throws {
        self.mirror = mirror
        let log = try mirror.membership.log
        offset = log.offset
        (slots, data) = SetMembership.Log.layout(size: log.size, pageSize: mirror.geometry.pageSize)
    }

    deinit {
        ChunkPool.give(pending)
        forget()
    }

    var isThere: Bool { slots > 0 }
    var count: Int { entries.count }

    func has(_ page: UInt64) -> Bool { entries.slot(of: page) != nil }

    /// Keeps some pages, whose bytes lie one behind the other; of each the last one counts.
    /// - Throws: a `Complaint` where the log is full.
    func put(_ pages: ArraySlice<UInt64>, _ bytes: UnsafeRawBufferPointer, _ checksums: ArraySlice<UInt32>) throws {
        guard pages.contains(where: has) else { return try append(pages, bytes, checksums) }
        let size = Int(mirror.pageSize)
        for (index, (page, checksum)) in zip(pages, checksums).enumerated() {
            let part = UnsafeRawBufferPointer(rebasing: bytes[(index * size)..<((index + 1) * size)])
            if let old = entries.slot(of: page) {
                try flushPending()
                if kept.contains(where: { $0.slots.contains(old) }) { forget() }
                try mirror.write(part, at: place(old))
                entries.replace(old, checksum: checksum)
            } else {
                try append([page], part, [checksum])
            }
        }
    }

    /// The same of a whole room, which the log takes over: what it holds need not be read again when it is brought to
    /// its place.
    func put(_ pages: ArraySlice<UInt64>, taking room: UnsafeMutableRawBufferPointer, _ checksums: ArraySlice<UInt32>)
        throws
    {
        let first = entries.count
        do {
            let used = UnsafeRawBufferPointer(rebasing: room[..<(pages.count * Int(mirror.pageSize))])
            try flushPending()
            try put(pages, used, checksums)
            try flushPending()
        } catch {
            ChunkPool.give(room)
            throw error
        }
        if entries.count == first + pages.count {
            kept.append((first..<entries.count, room))
        } else {
            ChunkPool.give(room)
        }
    }

    private func forget() {
        for (_, room) in kept { ChunkPool.give(room) }
        kept = []
    }

    /// The bytes of some slots, if all of them are here.
    private func bytes(of run: Range<Int>) -> UnsafeRawBufferPointer? {
        var (low, high) = (0, kept.count)
        while low < high {
            let middle = (low + high) / 2
            if kept[middle].slots.upperBound <= run.lowerBound { low = middle + 1 } else { high = middle }
        }
        guard low < kept.count, kept[low].slots.lowerBound <= run.lowerBound,
            kept[low].slots.upperBound >= run.upperBound
        else { return nil }
        let (start, size) = (run.lowerBound - kept[low].slots.lowerBound, Int(mirror.pageSize))
        return UnsafeRawBufferPointer(rebasing: kept[low].room[start * size..<(start + run.count) * size])
    }

    /// New pages lie one behind the other, and are written together.
    private func append(_ pages: ArraySlice<UInt64>, _ bytes: UnsafeRawBufferPointer, _ checksums: ArraySlice<UInt32>)
        throws
    {
        let first = entries.count
        guard UInt64(first + pages.count) <= slots else {
            let room = Figures.bytes(slots * mirror.pageSize)
            throw Complaint(
                .failure,
                "the mirror's log, which has room for \(room), is full: more than that has changed since the last pass."
                    + " The older state stays as it is. --in-place gives it up for this pass; a mirror with a larger"
                    + " log is made by mirror remove and mirror add --log --force")
        }
        let size = Int(mirror.pageSize)
        if pendingCount * size + bytes.count > pending.count { try flushPending() }
        if pendingCount == 0, bytes.count >= pending.count / 2 {
            try mirror.write(bytes, at: place(first))
        } else {
            if pendingCount == 0 { pendingFirst = first }
            let start = pendingCount * size
            UnsafeMutableRawBufferPointer(rebasing: pending[start..<start + bytes.count]).copyMemory(from: bytes)
            pendingCount += pages.count
        }
        for (page, checksum) in zip(pages, checksums) { entries.append(page, checksum) }
    }

    private func flushPending() throws {
        guard pendingCount > 0 else { return }
        let used = UnsafeRawBufferPointer(rebasing: pending[..<(pendingCount * Int(mirror.pageSize))])
        try mirror.write(used, at: place(pendingFirst))
        pendingCount = 0
    }

    private func place(_ index: Int) -> UInt64 { offset + data + UInt64(index) * mirror.pageSize }

    /// The page as the log has it.
    /// - Returns: false where it has none.
    func read(_ target: UnsafeMutableRawBufferPointer, page: UInt64) throws -> Bool {
        guard let index = entries.slot(of: page) else { return false }
        try flushPending()
        try mirror.fill(target, at: place(index))
        return true
    }

    /// From here on what the log holds is the mirror's state, whatever happens.
    func commit(epoch: UInt64, time: UInt64) throws {
        try flushPending()
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(Int((UInt64(entries.count) * SetMembership.Log.entrySize + 4_095) / 4_096), 1) * 4_096,
            alignment: 4_096)
        room.initializeMemory(as: UInt8.self, repeating: 0)
        defer { room.deallocate() }
        for index in 0..<entries.count {
            let (entry, at) = (entries[index], index * Int(SetMembership.Log.entrySize))
            room.storeBytes(of: entry.page.littleEndian, toByteOffset: at, as: UInt64.self)
            room.storeBytes(of: entry.checksum.littleEndian, toByteOffset: at + 8, as: UInt32.self)
        }
        try mirror.write(UnsafeRawBufferPointer(room), at: offset)
        try mirror.flush()
        let used = entries.count * Int(SetMembership.Log.entrySize)
        let checksum = room.baseAddress.map { cmirror_checksum($0, used) } ?? 0
        try mirror.update {
            $0.log.count = UInt64(self.entries.count)
            $0.log.epoch = epoch
            $0.log.epochTime = time
            $0.log.checksum = checksum
        }
    }

    /// Brings what a committed log holds into the data area; nothing where it is empty.
    func apply() throws {
        let log = try mirror.membership.log
        guard log.count > 0 else { return }
        let isFromMedia = entries.isEmpty
        if isFromMedia { try readEntries(log) }
        let room = ChunkPool.take()
        defer { ChunkPool.give(room) }
        var records: MirrorRecords?
        // Before the first of them is written home: the older state is there as long as nothing is.
        for run in runs where isFromMedia { _ = try check(run, room) }
        for run in runs {
            let bytes = try bytes(of: run) ?? check(run, room)
            try mirror.write(bytes, page: entries[run.lowerBound].page)
            for index in run {
                let entry = entries[index]
                if records?.pages.contains(entry.page) != true {
                    try records.map(mirror.write)
                    records = try mirror.records(of: chunk(of: entry.page))
                }
                records?.set(.init(epoch: log.epoch, checksum: entry.checksum), of: entry.page)
            }
        }
        try records.map(mirror.write)
        try mirror.flush()
        try mirror.update {
            $0.state = .point
            $0.epoch = log.epoch
            $0.epochTime = log.epochTime
            $0.passEpoch = 0
            $0.log.count = 0
        }
        entries = LogEntries()
        forget()
    }

    /// Reads some slots, and compares them with their checksums.
    private func check(_ run: Range<Int>, _ room: UnsafeMutableRawBufferPointer) throws -> UnsafeRawBufferPointer {
        let bytes = UnsafeMutableRawBufferPointer(rebasing: room[..<(run.count * Int(mirror.pageSize))])
        try demand { try mirror.fill(bytes, at: place(run.lowerBound)) }
        var checksums = [UInt32](repeating: 0, count: run.count)
        guard let base = bytes.baseAddress else { throw damage() }
        cmirror_checksums(base, Int(mirror.pageSize), run.count, &checksums)
        guard zip(run, checksums).allSatisfy({ entries[$0].checksum == $1 }) else { throw damage() }
        return UnsafeRawBufferPointer(bytes)
    }

    /// Slots that follow one another, and whose pages do, in order of these; no more at once than a chunk has, and of
    /// one of the rooms that are kept, all of which but the last are full.
    private var runs: [Range<Int>] {
        var result: [Range<Int>] = []
        let (first, most) = (kept.first?.slots.lowerBound ?? 0, Int(mirror.chunkPages))
        for index in entries.byPage {
            if let last = result.last, last.upperBound == index, last.count < most,
                kept.isEmpty || index < first || (index - first) % most != 0,
                entries[index].page == entries[index - 1].page + 1
            {
                result[result.count - 1] = last.lowerBound..<index + 1
            } else {
                result.append(index..<index + 1)
            }
        }
        return result
    }

    private func chunk(of page: UInt64) -> Range<UInt64> {
        let start = page / mirror.chunkPages * mirror.chunkPages
        return start..<min(start + mirror.chunkPages, mirror.geometry.pageCount)
    }

    private func readEntries(_ log: SetMembership.Log) throws {
        let used = Int(log.count * SetMembership.Log.entrySize)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: (used + 4_095) / 4_096 * 4_096, alignment: 4_096)
        defer { room.deallocate() }
        try demand { try mirror.fill(room, at: offset) }
        guard let base = room.baseAddress, cmirror_checksum(base, used) == log.checksum else { throw damage() }
        entries = LogEntries()
        for index in 0..<Int(log.count) {
            let at = index * Int(SetMembership.Log.entrySize)
            let page = UInt64(littleEndian: room.load(fromByteOffset: at, as: UInt64.self))
            guard page < mirror.geometry.pageCount else { throw damage() }
            entries.append(page, UInt32(littleEndian: room.load(fromByteOffset: at + 8, as: UInt32.self)))
        }
    }

    /// Whether the entries of a log that is in use are what was written: enough to tell that there is one.
    static func isWhole(_ path: String, _ superblock: Superblock) throws -> Bool {
        guard let log = superblock.membership?.log, log.count > 0 else { return true }
        let file = try DeviceFile.open(path, for: .inspect)
        defer { file.close() }
        let used = Int(log.count * SetMembership.Log.entrySize)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: used, alignment: 4_096)
        defer { room.deallocate() }
        guard try file.read(into: room, at: log.offset) == used, let base = room.baseAddress else { return false }
        return cmirror_checksum(base, used) == log.checksum
    }

    private func demand(_ read: () throws -> Void) throws {
        do {
            try read()
        } catch {
            isDamaged = true
            throw error
        }
    }

    private func damage() -> Complaint {
        isDamaged = true
        return Complaint(
            .failure,
            "the log of the mirror, \(mirror.name), is damaged: its last state cannot be had. mirror sync --in-place"
                + " makes a new copy")
    }
}
