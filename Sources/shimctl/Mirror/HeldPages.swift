/// Pages that are kept in memory while the file system stands still: one behind the other, in rooms of a chunk.
final class HeldPages {
    private let pageSize: Int
    private var rooms: [UnsafeMutableRawBufferPointer] = []
    private var pages: [UInt64] = []
    private var checksums: [UInt32] = []

    /// - Parameter pageSize: bytes.
    init(pageSize: UInt64) { self.pageSize = Int(pageSize) }

    deinit { removeAll() }

    /// Bytes.
    var size: Int { pages.count * pageSize }

    /// - Parameter checksums: of each page.
    func add(_ run: Range<UInt64>, _ bytes: UnsafeRawBufferPointer, _ checksums: ArraySlice<UInt32>) {
        var done = 0
        while done < bytes.count {
            let used = (size + done) % Int(MirrorDevice.chunk)
            if used == 0 { rooms.append(ChunkPool.take()) }
            guard let room = rooms.last else { return }
            let count = min(bytes.count - done, room.count - used)
            UnsafeMutableRawBufferPointer(rebasing: room[used..<used + count])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[done..<done + count]))
            done += count
        }
        pages += run
        self.checksums += checksums
    }

    /// Calls `body` with some pages at once, their bytes one behind the other, and their checksums.
    func forEachRoom(_ body: (ArraySlice<UInt64>, UnsafeRawBufferPointer, ArraySlice<UInt32>) throws -> Void) rethrows {
        let most = Int(MirrorDevice.chunk) / pageSize
        for (index, room) in rooms.enumerated() {
            let part = index * most..<min((index + 1) * most, pages.count)
            let used = UnsafeRawBufferPointer(rebasing: room[..<(part.count * pageSize)])
            try body(pages[part], used, checksums[part])
        }
    }

    /// The same, and each room is the callee's from then on; there are none afterwards.
    func give(_ body: (ArraySlice<UInt64>, UnsafeMutableRawBufferPointer, ArraySlice<UInt32>) throws -> Void) rethrows {
        let most = Int(MirrorDevice.chunk) / pageSize
        defer { removeAll() }
        while !rooms.isEmpty {
            let part = 0..<min(most, pages.count)
            let room = rooms.removeFirst()
            try body(pages[part], room, checksums[part])
            pages.removeFirst(part.count)
            checksums.removeFirst(part.count)
        }
    }

    func removeAll() {
        rooms.forEach(ChunkPool.give)
        (rooms, pages, checksums) = ([], [], [])
    }
}
