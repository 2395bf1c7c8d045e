import CShimSys

extension Engine {
    /// Maps `fd` over [address, address + bytes), on DAX with MAP_SYNC where the device can promise that.
    func mapFile(
        _ held: LockHeld, _ address: UInt, _ bytes: Int, _ writable: Bool, _ fd: Int32,
        _ inode: UnsafeMutablePointer<Inode>
    ) -> Bool {
        if mount(inode.pointee.mount).pointee.backing == PS_BACKING_DAX {
            if mayMapSynchronously(held, fd, inode.pointee.mount) {
                guard ps_sys_map_file_sync(address, bytes, writable, fd) > 0 else { return false }
                inode.set(InodeFlag.synchronous)
                return true
            }
            inode.clear(InodeFlag.synchronous)
            inode.noteKernelChange()
        }
        return ps_sys_map_file(address, bytes, writable, fd) > 0
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
