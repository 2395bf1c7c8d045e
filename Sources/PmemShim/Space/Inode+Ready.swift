import CShimSys
import Synchronization

/// Regions of a DAX file that may be written through the window.
///
/// A store to a page without space of its own, or whose space is only preallocated, faults, and with MAP_SYNC every
/// such fault commits the file system's journal: a hundred times the price of the write. So the kernel does the first
/// writes there, and a region is stored to once all of it has been written. A hint: wrong, it costs a commit or a
/// kernel call.
extension Engine {
    /// Whether a write there may be served, as far as the space of the file is concerned.
    @inline(__always)
    func isReady(_ target: Target, _ offset: Int64, _ count: Int) -> Bool {
        !target.word.has(DescriptorWord.durable) || target.inode.isReady(offset, count, target.geometry)
    }

    /// Whether to ask if the space there has been written: once the region is hot, and then now and then.
    func isWorthALook(_ target: Target, _ offset: Int64, _ count: Int) -> Bool {
        guard target.inode.heat(offset, target.geometry) >= target.geometry.threshold else { return false }
        return isTimeToLook(target, offset, count)
    }

    func isTimeToLook(_ target: Target, _ offset: Int64, _ count: Int) -> Bool {
        guard !target.inode.isReady(offset, count, target.geometry) else { return false }
        return Settings.current.pointee.map_after == 0
            || target.inode.pointee.looks.wrappingAdd(1, ordering: .relaxed).newValue & 15 == 1
    }
}

extension UnsafeMutablePointer where Pointee == Inode {
    @inline(__always)
    func isReady(_ offset: Int64, _ count: Int, _ geometry: Geometry) -> Bool {
        let ready = pointee.ready.load(ordering: .relaxed)
        let first = offset >> geometry.regionShift & 63
        let last = (offset &+ Int64(count) &- 1) >> geometry.regionShift & 63
        return ready >> UInt64(bitPattern: first) & ready >> UInt64(bitPattern: last) & 1 != 0
    }

    /// Looks at the regions of [offset, offset + count) through `fd`. True: they are all written.
    func makeReady(_ fd: Int32, _ offset: Int64, _ count: Int, _ geometry: Geometry) -> Bool {
        let shift = geometry.regionShift
        var region = offset >> shift
        let last = (offset &+ Int64(count) &- 1) >> shift
        while region <= last {
            let start = region << shift
            // The part behind the end is nobody's yet.
            let length = min(Int64(1) << shift, pointee.size.load(ordering: .relaxed) &- start)
            guard length > 0, ps_sys_is_written(fd, start, length) else { return false }
            pointee.ready.bitwiseOr(1 << UInt64(bitPattern: region & 63), ordering: .relaxed)
            region &+= 1
        }
        return true
    }
}
