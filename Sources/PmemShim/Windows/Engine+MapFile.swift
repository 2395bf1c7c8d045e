import CShimSys
import Synchronization

extension Engine {
    /// Maps `fd` over [address, address + bytes), on DAX with MAP_SYNC where the device can promise that.
    func mapFile(
        _ held: LockHeld, _ address: UInt, _ bytes: Int, _ writable: Bool, _ fd: Int32,
        _ inode: UnsafeMutablePointer<Inode>
    ) -> Bool {
        let backing = mount(inode.pointee.mount).pointee.backing
        if backing == PS_BACKING_DAX {
            if mayMapSynchronously(held, fd, inode.pointee.mount) {
                guard ps_sys_map_file_sync(address, bytes, writable, fd) > 0 else { return false }
                inode.set(InodeFlag.synchronous)
                return true
            }
            inode.clear(InodeFlag.synchronous)
            inode.noteKernelChange()
        }
        guard writable || backing != PS_BACKING_PAGECACHE else {
            return ps_sys_map_file_to_read(address, bytes, fd) > 0
        }
        return ps_sys_map_file(address, bytes, writable, fd) > 0
    }

    /// Maps the window of a file on a page cache anew, in place: for reading alone where its writes are the kernel's
    /// (``InodeFlag/aloof``), else for writing too. A copy into it that goes on faults, and the kernel does the call.
    /// Where it cannot be, for writing, the window stays as it is.
    @inline(never)
    func remapWindow(_ inode: UnsafeMutablePointer<Inode>) {
        guard let lock = EngineLock(self) else { return }
        defer { lock.unlock() }
        let base = inode.pointee.base.load(ordering: .relaxed)
        let writable = !inode.has(InodeFlag.aloof)
        guard base != 0, writable != inode.has(InodeFlag.writable), let source = descriptor(inode.pointee.source)
        else { return }
        let rights = DescriptorWord.ours | (writable ? DescriptorWord.mapsWritable : DescriptorWord.maps)
        let length = inode.pointee.length.load(ordering: .relaxed)
        guard DescriptorWord(source.pointee.word.load(ordering: .acquiring)).has(rights),
            isSameInode(inode.pointee.source, inode)
        else { return }
        inode.clear(InodeFlag.writable)
        guard mapFile(lock.held, base, Int(length), writable, inode.pointee.source, inode) else {
            return retireWindow(lock.held, inode)
        }
        ps_sys_private_to_process(base, Int(length))
        if writable { inode.set(InodeFlag.writable) }
        inode.updateLimits()
    }

    /// Whether writes to `inode`, on a page cache, are the kernel's for now: so its window is for reading alone.
    func isToRead(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        inode.has(InodeFlag.aloof) && mount(inode.pointee.mount).pointee.backing == PS_BACKING_PAGECACHE
    }

    /// Asked once per mount, somewhere else: over a reservation a refusal would leave a gap, which another thread's
    /// mapping may fall into before we try again.
    private func mayMapSynchronously(_ held: LockHeld, _ fd: Int32, _ index: UInt32) -> Bool {
        let mount = mount(index)
        if mount.pointee.synchronous == 0 {
            mount.pointee.synchronous = ps_sys_maps_synchronously(fd) ? 1 : 2
            if mount.pointee.synchronous == 2 { log(held, fd, "syncs by the kernel", "MAP_SYNC refused") }
        }
        return mount.pointee.synchronous == 1
    }
}
