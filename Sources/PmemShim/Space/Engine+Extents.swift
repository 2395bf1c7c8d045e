import CShimSys
import Synchronization

/// Where a part of a file lies on its device, as it was when the kernel was asked: 32 bytes in the arena. Threads
/// change it under one another's eyes; a mixture of two leads to the descriptor of a page that is another's, whose
/// owner tells.
struct RememberedExtent: ~Copyable {
    /// Of the file and the 2 MiB of it that were asked for; 0: free.
    let key: Atomic<UInt64>
    /// Bytes: in the file, on the device, and how many.
    let offset: Atomic<UInt64>
    let physical: Atomic<UInt64>
    let length: Atomic<UInt64>
}

extension Engine {
    /// The descriptor, in its device's arrays, of the page that holds `offset` of a file.
    /// - Parameter fd: -1: without a system call.
    func devicePlace(_ inode: UnsafeMutablePointer<Inode>, _ offset: Int64, fd: Int32) -> PagePlace? {
        let mount = mount(inode.pointee.mount)
        guard offset >= 0, let physical = physical(inode, UInt64(offset), fd) else { return nil }
        let page = physical >> UInt64(mount.pointee.attached.shift)
        guard page < mount.pointee.attached.count else { return nil }
        let section = page >> 15
        let identity = mount.pointee.attached.device ^ UInt64(mount.pointee.attached.tag) << 20
        let key = PageKey.section(identity, section)
        guard let base = findSection(key) ?? (fd < 0 ? nil : mapSection(key, inode, section, fd)), base != 0,
            let array = array(base, mount.pointee.attached.tag, isSparse: false)
        else { return nil }
        let owner = PageArray.Owner(
            inode: inode.pointee.number, index: UInt64(offset) >> UInt64(mount.pointee.attached.shift))
        return PagePlace(array: array, page: page & UInt64(PS_DEVICE_SECTION_PAGES &- 1), owner: owner)
    }

    /// Where byte `offset` lies, bytes from the start of the device's data.
    private func physical(_ inode: UnsafeMutablePointer<Inode>, _ offset: UInt64, _ fd: Int32) -> UInt64? {
        let key = PageKey.section(inode.pointee.identity, offset >> 21)
        let place = Int(truncatingIfNeeded: key) & (Arena.extents &- 1)
        let entry = (address + Arena.extentsOffset).assumingMemoryBound(to: RememberedExtent.self) + place
        if entry.pointee.key.load(ordering: .acquiring) == key {
            let distance = offset &- entry.pointee.offset.load(ordering: .relaxed)
            if distance < entry.pointee.length.load(ordering: .relaxed) {
                return entry.pointee.physical.load(ordering: .relaxed) &+ distance
            }
        }
        guard fd >= 0, ps_given_way() & GiveWay.stops == 0 else { return nil }
        var extent = ps_extent()
        guard ps_sys_extent(fd, offset, 1, &extent) == 0, extent.length != 0 else { return nil }
        entry.pointee.key.store(0, ordering: .relaxed)
        entry.pointee.offset.store(extent.offset, ordering: .relaxed)
        entry.pointee.physical.store(extent.physical, ordering: .relaxed)
        entry.pointee.length.store(extent.length, ordering: .relaxed)
        entry.pointee.key.store(key, ordering: .releasing)
        return extent.physical &+ (offset &- extent.offset)
    }

    /// Files of this process may lie elsewhere now: what is remembered of a file whose blocks have changed is
    /// forgotten, and of the others asked for again.
    func forgetExtents() {
        for index in 0..<Arena.extents {
            let entry = (address + Arena.extentsOffset).assumingMemoryBound(to: RememberedExtent.self) + index
            if entry.pointee.key.load(ordering: .relaxed) != 0 { entry.pointee.key.store(0, ordering: .relaxed) }
        }
    }
}
