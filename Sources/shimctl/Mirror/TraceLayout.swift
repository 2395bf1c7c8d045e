import Glibc

/// How the kernel's tracer lays out what is read from a `trace_pipe_raw`: pages with a head, and in them records of
/// events, as the tracer itself says in `events/header_page` and in the event's `format` (Documentation/trace in the
/// kernel's sources). Records of 56 bytes that nobody has to print and to parse again: as lines of text each cost the
/// copier, and the kernel, thirty times as much as the write that it tells of (docs/decisions.md).
struct TraceLayout {
    /// Of what a page or a record holds: bytes.
    struct Field: Equatable {
        let offset: Int
        let size: Int
    }

    /// One write, or whatever else reaches a block device.
    struct Record: Equatable {
        /// In units of 512 bytes.
        let sector: UInt64
        let count: UInt64
        let isRead: Bool
    }

    /// What a page has told.
    struct Told: Equatable {
        /// Records of whatever event.
        var events: UInt64 = 0
        /// Some were lost before, or are not understood.
        var hasLost = false
    }

    /// Bytes that are read at once.
    let pageSize: Int
    private let commit: Field
    private let data: Int
    private let identifier: UInt16
    private let sector: Field
    private let count: Field
    private let operation: Field

    /// - Parameters:
    ///   - page: what `events/header_page` says.
    ///   - event: what `events/block/block_bio_queue/format` says.
    /// - Returns: nothing where that is not as it is known to be.
    init?(page: String, event: String) {
        let (head, fields) = (Self.fields(page), Self.fields(event))
        guard let commit = head["commit"], let data = head["data"], [4, 8].contains(commit.size),
            let sector = fields["sector"], let count = fields["nr_sector"], let operation = fields["rwbs"],
            fields["common_type"] == Field(offset: 0, size: 2), sector.size == 8, count.size == 4, operation.size > 0,
            let line = event.split(separator: "\n").first(where: { $0.hasPrefix("ID: ") }),
            let identifier = UInt16(line.dropFirst(4)), commit.offset + commit.size <= data.offset,
            (512...(1 << 20)).contains(data.offset + data.size)
        else { return nil }
        (self.commit, self.data, self.identifier) = (commit, data.offset, identifier)
        (self.sector, self.count, self.operation) = (sector, count, operation)
        pageSize = data.offset + data.size
    }

    /// Lines such as `field:sector_t sector; offset:16; size:8; signed:0;`, by the name of the field.
    private static func fields(_ text: String) -> [String: Field] {
        var result: [String: Field] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ";").map { $0.drop { $0 == "\t" || $0 == " " } }
            guard parts.count >= 3, parts[0].hasPrefix("field:"), parts[1].hasPrefix("offset:"),
                parts[2].hasPrefix("size:"), let offset = Int(parts[1].dropFirst(7)),
                let size = Int(parts[2].dropFirst(5)), (0...(1 << 20)).contains(offset), (0...(1 << 20)).contains(size),
                let name = parts[0].split(separator: " ").last?.prefix(while: { $0 != "[" })
            else { continue }
            result[String(name)] = Field(offset: offset, size: size)
        }
        return result
    }

    /// In the page's `commit`: how many bytes of records there are, and that some were overwritten before these
    /// (RB_WRITE_MASK and RB_MISSED_EVENTS of the kernel).
    private static let committed: UInt32 = 1 << 20 - 1
    private static let missed: UInt32 = 1 << 31

    /// What the first five bits of a record say, where they are not its length in words.
    private enum Kind {
        static let long: UInt32 = 0
        static let mostWords: UInt32 = 28
        static let padding: UInt32 = 29
    }

    /// Calls `visit` with each record of the event in a page.
    func read(_ page: UnsafeRawBufferPointer, _ visit: (Record) -> Void) -> Told {
        var told = Told()
        // The counts are stored as the processor does, which is little-endian wherever this runs.
        guard page.count >= data else { return Told(hasLost: true) }
        let head = page.loadUnaligned(fromByteOffset: commit.offset, as: UInt32.self)
        if head & Self.missed != 0 { told.hasLost = true }
        let end = data + Int(head & Self.committed)
        guard end <= page.count else { return Told(hasLost: true) }
        var at = data
        while at < end {
            guard let (start, next) = record(page, at, end, &told) else { return told }
            if start < next { note(UnsafeRawBufferPointer(rebasing: page[start..<next]), &told, visit) }
            at = next
        }
        return told
    }

    /// Where the content of the record at `at` begins, and the next record; the same where it has none.
    /// - Returns: nothing where no other follows.
    private func record(_ page: UnsafeRawBufferPointer, _ at: Int, _ end: Int, _ told: inout Told) -> (Int, Int)? {
        guard at + 4 <= end else {
            told.hasLost = true
            return nil
        }
        let word = page.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        let kind = word & 31
        if (1...Kind.mostWords).contains(kind) {
            let next = at + 4 + Int(kind) * 4
            guard next <= end else {
                told.hasLost = true
                return nil
            }
            return (at + 4, next)
        }
        // Padding without a time fills the rest.
        if kind == Kind.padding, word >> 5 == 0 { return nil }
        guard at + 8 <= end else {
            told.hasLost = true
            return nil
        }
        let length = page.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)
        let isTime = kind > Kind.padding
        let next = isTime ? at + 8 : at + 4 + Int(length)
        guard isTime || length >= 4, next <= end else {
            told.hasLost = true
            return nil
        }
        return (kind == Kind.long ? at + 8 : next, next)
    }

    private func note(_ content: UnsafeRawBufferPointer, _ told: inout Told, _ visit: (Record) -> Void) {
        told.events += 1
        guard content.count >= max(sector.offset + 8, count.offset + 4, operation.offset + 1),
            content.loadUnaligned(fromByteOffset: 0, as: UInt16.self) == identifier
        else {
            told.hasLost = true
            return
        }
        visit(
            Record(
                sector: content.loadUnaligned(fromByteOffset: sector.offset, as: UInt64.self),
                count: UInt64(content.loadUnaligned(fromByteOffset: count.offset, as: UInt32.self)),
                isRead: content[operation.offset] == UInt8(ascii: "R")))
    }
}
