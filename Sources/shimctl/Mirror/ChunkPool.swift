import Glibc

/// Rooms in memory of a chunk each, which passes read into: kept from one pass to the next. A new one costs a page
/// fault and 4 KiB of zeros for every page, as much as to copy it; and memory that is there already need not be found
/// while a file system stands still.
enum ChunkPool {
    /// Passes have one thread.
    nonisolated(unsafe) private static var free: [UnsafeMutableRawBufferPointer] = []
    /// Rooms: 32 MiB, as much as is copied at once while a file system stands still.
    private static let mostKept = 20

    static func take() -> UnsafeMutableRawBufferPointer {
        if let room = free.popLast() { return room }
        let size = Int(MirrorDevice.chunk)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: size)
        // One page of the processor's larger size, where the kernel has one: direct I/O finds it faster.
        _ = madvise(room.baseAddress, size, MADV_HUGEPAGE)
        return room
    }

    static func give(_ room: UnsafeMutableRawBufferPointer) {
        if free.count < mostKept { free.append(room) } else { room.deallocate() }
    }
}
