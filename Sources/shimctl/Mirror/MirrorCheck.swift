import CMirror
import PmemDeviceFormat
import PmemShim

/// Checks every page of a mirror against its checksum, without its primary.
struct MirrorCheck {
    struct Result {
        /// Pages of which the mirror has a record that counts.
        var recorded: UInt64 = 0
        /// Pages that are not what was copied, or have something and no record.
        var damaged: [UInt64] = []
    }

    let mirror: MirrorDevice
    /// Bytes a second; nothing: as fast as can be.
    var rate: UInt64?
    var progress: (UInt64) -> Void = { _ in }

    init(_ mirror: MirrorDevice) { self.mirror = mirror }

    /// What the log holds has to be in place. What cannot be read is damaged.
    func run() -> Result {
        var result = Result()
        let size = Int(mirror.pageSize)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(MirrorDevice.chunk), alignment: 4_096)
        defer { room.deallocate() }
        let zeros = ZeroPage(size)
        let holes = CommonHoles([mirror.file], dataOffset: mirror.geometry.dataOffset, pageSize: mirror.pageSize)
        let begin = ContinuousClock.now
        var done: UInt64 = 0
        PageRanges([0..<mirror.geometry.pageCount]).forEachChunk(of: mirror.chunkPages) { range in
            guard let records = try? mirror.records(of: range) else {
                result.damaged += range
                return
            }
            if holes?.isHole(range) == true {
                for page in range {
                    guard let record = records[page] else { continue }
                    result.recorded += 1
                    if record.checksum != zeros.checksum { result.damaged.append(page) }
                }
                return
            }
            let used = UnsafeMutableRawBufferPointer(rebasing: room[..<(range.count * size)])
            let unreadable = unreadable(used, range)
            var checksums = [UInt32](repeating: 0, count: range.count)
            if let base = used.baseAddress { cmirror_checksums(base, size, range.count, &checksums) }
            for (index, page) in range.enumerated() {
                if unreadable.contains(page) {
                    result.damaged.append(page)
                } else if let record = records[page] {
                    result.recorded += 1
                    if record.checksum != checksums[index] { result.damaged.append(page) }
                } else {
                    let part = UnsafeMutableRawBufferPointer(rebasing: used[index * size..<(index + 1) * size])
                    if !zeros.isEqual(part) { result.damaged.append(page) }
                }
            }
            done += UInt64(range.count * size)
            progress(range.upperBound)
            if let rate {
                let due = Double(done) / Double(rate) - (ContinuousClock.now - begin) / .seconds(1)
                if due > 0 { Pause.take(seconds: min(due, 1)) }
            }
        }
        return result
    }

    /// Reads a chunk; page by page where it cannot be read at once.
    private func unreadable(_ room: UnsafeMutableRawBufferPointer, _ range: Range<UInt64>) -> Set<UInt64> {
        guard (try? mirror.read(room, page: range.lowerBound)) == nil else { return [] }
        let size = Int(mirror.pageSize)
        return Set(
            range.enumerated().filter { index, page in
                let part = UnsafeMutableRawBufferPointer(rebasing: room[index * size..<(index + 1) * size])
                return (try? mirror.read(part, page: page)) == nil
            }.map(\.element))
    }

    /// Why the checksums of a mirror tell nothing; nothing where they do.
    static func objection(_ membership: SetMembership) -> String? {
        if membership.isUnfinished { return "a pass was cut short" }
        switch membership.state {
        case .empty: return "no pass has ended yet"
        case .kernel: return "the kernel has written to it since"
        case .copied, .point: return nil
        }
    }
}

extension MirrorCheck.Result {
    /// `3 pages of the mirror are not what was copied: 5, 7, 9`.
    var text: String {
        let shown = damaged.prefix(20).map(String.init).joined(separator: ", ")
        let pages =
            damaged.count == 1
            ? "1 page of the mirror is" : "\(Figures.count(UInt64(damaged.count))) pages of the mirror are"
        return "\(pages) not what was copied: \(shown)" + (damaged.count > 20 ? ", …" : "")
    }
}
