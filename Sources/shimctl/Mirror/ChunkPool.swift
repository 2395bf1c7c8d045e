import Glibc

/// Rooms in memory of a chunk each, which passes read into: kept from one pass to the next. A new one costs a page
/// fault and 4 KiB of zeros for every page, as much as to copy it; and memory that is there already need not be found
/// while a file system stands still.
enum ChunkPool {
    // Passes have one thread.
    nonisolated(unsafe) private static var free: [UnsafeMutableRawBufferPointer] = []
    nonisolated(unsafe) private static var used = 0
    /// The most that were in use at once since `trim`.
    nonisolated(unsafe) private static var most = 0

    static func take() -> UnsafeMutableRawBufferPointer {
        used += 1
        most = max(most, used)
        if let room = free.popLast() { return room }
        let size = Int(MirrorDevice.chunk)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: size)
        // One page of the processor's larger size, where the kernel has one: direct I/O finds it faster.
        _ = madvise(room.baseAddress, size, MADV_HUGEPAGE)
        return room
    }

    static func give(_ room: UnsafeMutableRawBufferPointer) {
        used -= 1
        free.append(room)
    }

    /// After a pass: a later one is expected to need as much as this one did, and no more than `limit` is kept.
    static func trim() {
        while free.count + used > min(most, limit), let room = free.popLast() { room.deallocate() }
        most = used
    }

    /// Rooms: what is copied while a file system stands still, where that is little, and what a pass reads into.
    private static let limit = Int(MirrorPass.mostAtOnce / MirrorDevice.chunk) + 4
}
