import CShimSys
import Synchronization

/// Space of a DAX file that is allocated and has never been written: what posix_fallocate leaves.
///
/// The first write to each block of it changes the file's extents, so that a write costs 15,000 instructions on ext4
/// instead of 3,400, and with fdatasync 50,000 instead of 4,900 (measured, docs/durability.md). A store through a
/// window to a group of 2 MiB that can be mapped as one page makes the kernel zero and convert all of it in one step,
/// for 1.2 million: as much as 80 writes, or 24 with their syncs. So the groups ahead of a writer are made ready before
/// it gets there. The group it works in cannot be had in one step any more: part of it has been written.
extension Engine {
    /// Before a write to a DAX file with holes, or with preallocated space, which counts as one: looks now and then
    /// whether the regions of [offset, offset + count) have been written meanwhile, and makes the groups behind them
    /// ready.
    func lookAhead(_ target: Target, _ offset: Int64, _ count: Int) {
        let inode = target.inode
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        guard inode.has(InodeFlag.synchronous), !inode.has(InodeFlag.bad | InodeFlag.aloof),
            inode.heat(offset, geometry) >= min(geometry.warmest, Preallocated.warm),
            isTimeToLook(target, offset, count)
        else { return }
        if inode.makeReady(target.fd, offset, count, geometry) {
            proveRegion(target, offset)
        } else if !inode.has(InodeFlag.piecemeal) {
            prepareAhead(target, offset, geometry)
        }
    }

    /// Makes up to four of the groups behind the one that `offset` lies in ready to be stored to.
    ///
    /// The store changes no byte, whoever else writes there at that moment. To others nothing is different but what
    /// FS_IOC_FIEMAP, SEEK_DATA and SEEK_HOLE say of space that reads as zeros before and after.
    private func prepareAhead(_ target: Target, _ offset: Int64, _ geometry: Geometry) {
        let inode = target.inode
        // The page the file ends in is the kernel's, and the end probe needs one behind the range.
        let size = inode.pointee.size.load(ordering: .relaxed)
        let end = min(size, inode.pointee.length.load(ordering: .relaxed)) &- 4_096
        var group = (offset | Preallocated.groupMask) &+ 1
        // Regions are served as a whole, so at least the next one is of use.
        let nextRegion = ((offset >> geometry.regionShift) &+ 2) << geometry.regionShift
        // And as far again as the writer, if it began at the start, has come: the groups it finds not ready get rarer.
        let ahead = min(max(Preallocated.reach, group, nextRegion &- group), Preallocated.farthest)
        let reach = min(group &+ ahead, end)
        var prepared = 0
        var looks = 0
        while looks < Preallocated.mostLooks, group &+ Preallocated.groupBytes <= reach {
            looks &+= 1
            var extent = ps_extent()
            guard ps_sys_extent(target.fd, UInt64(group), UInt64(reach &- group), &extent) == 0, extent.length > 0,
                let extentEnd = Int64(exactly: extent.offset &+ extent.length), extentEnd > group
            else { break }
            if extent.written != 0 {
                group = (extentEnd &+ Preallocated.groupMask) & ~Preallocated.groupMask
                continue
            }
            // Else it cannot be mapped as one page.
            guard (extent.physical &- extent.offset) & UInt64(Preallocated.groupMask) == 0 else { break }
            while prepared < Preallocated.mostGroups, group &+ Preallocated.groupBytes <= min(extentEnd, reach) {
                guard prepare(target, group, geometry) else {
                    // One page at a time is the price that is to be avoided.
                    inode.set(InodeFlag.piecemeal)
                    inode.noteKernelChange()
                    return
                }
                prepared &+= 1
                group &+= Preallocated.groupBytes
            }
            break
        }
        guard prepared > 0 else { return }
        // The next sync has the new extents to make durable, as far as the store has not.
        inode.noteKernelChange()
        raiseTop(inode, group &- 4_096)
    }

    /// True: all of the group has space now that counts as written.
    private func prepare(_ target: Target, _ group: Int64, _ geometry: Geometry) -> Bool {
        guard let call = target.thread.enter() else { return false }
        let isTouched = target.prove(group, limit: group).map { ps_touch($0.start) == 0 } ?? false
        call.leave()
        guard isTouched, ps_sys_is_written(target.fd, group, Preallocated.groupBytes) else { return false }
        // It is one page of the window, and has been touched: nothing is saved by waiting for the region to become hot.
        if target.inode.makeReady(target.fd, group, 1, geometry) { target.inode.regionIsWhole(group, geometry) }
        return true
    }
}

private enum Preallocated {
    /// Bytes.
    static let groupBytes: Int64 = 2 << 20
    static let groupMask: Int64 = groupBytes &- 1
    /// Calls that a region has seen before anything is done for it.
    static let warm: UInt8 = 8
    /// Groups made ready in one call: 8 MiB to be zeroed, some milliseconds.
    static let mostGroups = 4
    /// Bytes behind the group of the call that are made ready, at least and at most.
    static let reach: Int64 = groupBytes &* 4
    static let farthest: Int64 = 64 << 20
    /// Extents asked for in one call.
    static let mostLooks = 3
}
