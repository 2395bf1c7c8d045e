import CShimSys
import Synchronization

// Where page arrays are mapped (``MappedSection``), and how they go.
extension Engine {
    /// A place for one more array, the first that is free: as few are reserved as were ever needed at once.
    func takePlace(_ held: LockHeld) -> UInt? {
        let size = UInt(PS_DEVICE_ARRAY_SIZE)
        let perRegion = Int(PS_ROOT_REGION_SIZE) / Int(size)
        let low = space.pointee.sectionPlaces.0
        let high = space.pointee.sectionPlaces.1
        let number = low != .max ? (~low).trailingZeroBitCount : 64 &+ (~high).trailingZeroBitCount
        guard number < Arena.sections else { return nil }
        let region = sectionRegion(number / perRegion)
        var start = region.pointee.load(ordering: .relaxed)
        if start == 0 {
            let reserved = ps_sys_reserve(Int(PS_ROOT_REGION_SIZE))
            guard reserved > 0 else { return nil }
            start = UInt(bitPattern: reserved)
            ps_sys_private_to_process(start, Int(PS_ROOT_REGION_SIZE))
            region.pointee.store(start, ordering: .relaxed)
        }
        if number < 64 {
            space.pointee.sectionPlaces.0 |= 1 << UInt64(number)
        } else {
            space.pointee.sectionPlaces.1 |= 1 << UInt64(number &- 64)
        }
        return start &+ UInt(number % perRegion) &* size
    }

    func givePlace(_ held: LockHeld, _ place: UInt) {
        let perRegion = Int(PS_ROOT_REGION_SIZE) / Int(PS_DEVICE_ARRAY_SIZE)
        for index in 0..<Int(PS_ROOT_REGIONS) {
            let start = sectionRegion(index).pointee.load(ordering: .relaxed)
            guard start != 0, place &- start < UInt(PS_ROOT_REGION_SIZE) else { continue }
            let number = index &* perRegion &+ Int((place &- start) / UInt(PS_DEVICE_ARRAY_SIZE))
            if number < 64 {
                space.pointee.sectionPlaces.0 &= ~(1 << UInt64(number))
            } else {
                space.pointee.sectionPlaces.1 &= ~(1 << UInt64(number &- 64))
            }
            return
        }
    }

    /// The last descriptor of a file is gone: what is mapped of its page arrays goes, too, unless they say what is
    /// allocated.
    func forgetSections(_ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>) {
        guard inode.pointee.highestSection.load(ordering: .relaxed) >= 0, !inode.has(InodeFlag.hinted) else { return }
        for index in 0..<Arena.sections {
            let entry = sectionEntry(index)
            guard entry.pointee.key.load(ordering: .relaxed) != 0,
                entry.pointee.identity.load(ordering: .relaxed) == inode.pointee.identity
            else { continue }
            dropSection(held, index)
        }
    }

    func dropSection(_ held: LockHeld, _ index: Int) {
        let entry = sectionEntry(index)
        entry.pointee.key.store(0, ordering: .sequentiallyConsistent)
        let base = entry.pointee.base.load(ordering: .relaxed)
        guard base != 0, ps_sys_cover(base, Int(PS_DEVICE_ARRAY_SIZE)) > 0 else { return }
        givePlace(held, base)
    }

    /// Takes the memory away from under all arrays, which mlockall would make real: whoever is using one faults, and
    /// has lost a hint. The addresses stay reserved, for somebody may be using them. Without the engine lock.
    func coverSections() {
        guard let lock = EngineLock(self) else { return }
        defer { lock.unlock() }
        for index in 0..<Arena.sections where sectionEntry(index).pointee.key.load(ordering: .relaxed) != 0 {
            dropSection(lock.held, index)
        }
    }
}
