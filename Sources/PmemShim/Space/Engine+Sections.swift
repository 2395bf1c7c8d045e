import CShimSys
import Synchronization

/// A section's page array that this process has mapped, or knows it cannot have: 24 bytes in the arena, found by its
/// key.
///
/// Arrays are mapped at places in regions that are reserved as they are needed, and stay reserved: so a process has at
/// most so many mappings, and their addresses never belong to anything else. A place may be given to another section at
/// any moment: whoever still has its address reads and writes words of that one. In DRAM those count under another tag;
/// on a device the owner of a page is compared; both cost a hint.
struct MappedSection: ~Copyable {
    /// 0: free. Set after `base`, and set to 0 before it changes.
    let key: Atomic<UInt64>
    /// Where its 2 MiB are; 0: there is none to be had.
    let base: Atomic<UInt>
    /// Of the file it is part of (``Inode/identity``).
    let identity: Atomic<UInt64>
    /// Which of the file's sections; of an attached device's: which of those.
    let section: Atomic<UInt64>

    /// Places looked at for one key.
    static let probes = 8
}

/// A page of a file among the descriptors that are mapped here.
struct PagePlace {
    let array: PageArray
    let page: UInt64
    /// Whose page it must be for what is said of it to count: on a device pages change hands. Nothing: it is that
    /// file's.
    let owner: PageArray.Owner?

    var flags: PageFlags {
        guard owner == nil || array.owner(of: page) == owner else { return [] }
        return array.flags(of: page)
    }

    func insert(_ flags: PageFlags) {
        if let owner, array.owner(of: page) != owner {
            array.remove(.allocated, of: page)
            array.setOwner(owner, of: page)
        }
        array.insert(flags, of: page)
    }

    func remove(_ flags: PageFlags) { array.remove(flags, of: page) }
}

extension Engine {
    /// The descriptor of the page that holds `offset` of a file, as far as this process can find it without a system
    /// call. Without the engine lock, both this and the use of what it gives: that memory may be gone, and a fault is
    /// survived only where signals are not blocked.
    func knownPlace(_ inode: UnsafeMutablePointer<Inode>, _ offset: Int64) -> PagePlace? {
        if mount(inode.pointee.mount).pointee.attached.count != 0, let place = devicePlace(inode, offset, fd: -1) {
            return place
        }
        let key = PageKey.section(inode.pointee.identity, section(offset))
        guard let base = findSection(key), base != 0 else { return nil }
        return memoryPlace(inode, offset, base, key)
    }

    /// The descriptor of the page that holds `offset`, by system calls if need be; with `mayGrow` its memory is
    /// allocated. Without the engine lock.
    func place(
        _ inode: UnsafeMutablePointer<Inode>, _ offset: Int64, fd: Int32, mayGrow: Bool = true
    ) -> PagePlace? {
        if mount(inode.pointee.mount).pointee.attached.count != 0 { return devicePlace(inode, offset, fd: fd) }
        let key = PageKey.section(inode.pointee.identity, section(offset))
        let base = findSection(key) ?? (mayGrow ? mapSection(key, inode, section(offset), fd) : nil)
        guard let base, base != 0, let place = memoryPlace(inode, offset, base, key),
            place.array.isPresent(place.page) || (mayGrow && grow(key, place))
        else { return nil }
        return place
    }

    private func memoryPlace(
        _ inode: UnsafeMutablePointer<Inode>, _ offset: Int64, _ base: UInt, _ key: UInt64
    ) -> PagePlace? {
        guard let array = array(base, PageKey.tag(key), isSparse: true) else { return nil }
        // Hints of another process's, or of this one's while the file had another slot: they must be found, too.
        if note(section(offset), inode), array.saysSomething { inode.set(InodeFlag.hinted) }
        return PagePlace(
            array: array, page: UInt64(offset >> 12) & UInt64(PS_DEVICE_SECTION_PAGES &- 1), owner: nil)
    }

    private func section(_ offset: Int64) -> UInt64 { UInt64(bitPattern: offset) >> 27 }

    func array(_ base: UInt, _ tag: UInt32, isSparse: Bool) -> PageArray? {
        guard let start = UnsafeMutableRawPointer(bitPattern: base) else { return nil }
        // Also for a thread that has never copied: from here on it may fault.
        ps_signals_ready()
        return PageArray(
            base: start, byteCount: Int(PS_DEVICE_ARRAY_SIZE), pageCount: UInt64(PS_DEVICE_SECTION_PAGES), tag: tag,
            isSparse: isSparse)
    }

    func sectionEntry(_ index: Int) -> UnsafeMutablePointer<MappedSection> {
        (address + Arena.sectionsOffset).assumingMemoryBound(to: MappedSection.self) + (index & (Arena.sections &- 1))
    }

    func findSection(_ key: UInt64) -> UInt? {
        for probe in 0..<MappedSection.probes {
            let entry = sectionEntry(Int(truncatingIfNeeded: key) &+ probe)
            if entry.pointee.key.load(ordering: .acquiring) == key {
                return entry.pointee.base.load(ordering: .relaxed)
            }
        }
        return nil
    }

    /// Maps the array of a section of the file behind `fd`, which has been asked for for the first time.
    /// Without the engine lock.
    @inline(never)
    func mapSection(
        _ key: UInt64, _ inode: UnsafeMutablePointer<Inode>, _ section: UInt64, _ fd: Int32
    ) -> UInt? {
        // Not before the first window: until then a fault would be the program's own.
        guard root.pointee.windowsExisted.load(ordering: .acquiring) != 0, ps_given_way() & GiveWay.stops == 0,
            let lock = EngineLock(self)
        else { return nil }
        defer { lock.unlock() }
        guard claimTables(lock.held) else { return nil }
        if let base = findSection(key) { return base }
        var step = SectionStep(held: lock.held, engine: self, key: key, inode: inode, section: section, fd: fd)
        onOwnStack(&step) { $0.assumingMemoryBound(to: SectionStep.self).pointee.run() }
        return step.base
    }

    /// True: the section is the first that is used through this slot, or lies outside those that were.
    func note(_ section: UInt64, _ inode: UnsafeMutablePointer<Inode>) -> Bool {
        let section = Int32(clamping: section)
        // Stored only where they change: other threads read them.
        let isLower = section < inode.pointee.lowestSection.load(ordering: .relaxed)
        let isHigher = section > inode.pointee.highestSection.load(ordering: .relaxed)
        if isLower { inode.pointee.lowestSection.store(section, ordering: .relaxed) }
        if isHigher { inode.pointee.highestSection.store(section, ordering: .relaxed) }
        return isLower || isHigher
    }

    fileprivate func enterSection(
        _ held: LockHeld, _ key: UInt64, _ inode: UnsafeMutablePointer<Inode>, _ section: UInt64, _ fd: Int32
    ) -> UInt? {
        var facts = ps_file_facts()
        guard ps_sys_facts_of_descriptor(fd, &facts) == 0, facts.inode == inode.pointee.number,
            facts.device == inode.pointee.device
        else { return nil }
        // A free place, or that of some other section.
        var index = Int(truncatingIfNeeded: key)
        var probe = 0
        while probe < MappedSection.probes, sectionEntry(index &+ probe).pointee.key.load(ordering: .relaxed) != 0 {
            probe &+= 1
        }
        let used = space.pointee.sections.wrappingAdd(1, ordering: .relaxed).oldValue
        index = (index &+ (probe < MappedSection.probes ? probe : Int(used) & 7)) & (Arena.sections &- 1)
        let entry = sectionEntry(index)
        if entry.pointee.key.load(ordering: .relaxed) != 0 { dropSection(held, index) }
        guard let place = takePlace(held) else { return 0 }
        let base =
            mount(inode.pointee.mount).pointee.attached.count != 0
            ? mappedDeviceSection(held, inode, section, at: place)
            : mappedSection(held, key, facts, section, fd, at: place)
        if base == 0 { givePlace(held, place) }
        entry.pointee.base.store(base, ordering: .relaxed)
        entry.pointee.identity.store(inode.pointee.identity, ordering: .relaxed)
        entry.pointee.section.store(section, ordering: .relaxed)
        entry.pointee.key.store(key, ordering: .releasing)
        return base
    }

    /// 0: none to be had.
    private func mappedSection(
        _ held: LockHeld, _ key: UInt64, _ facts: ps_file_facts, _ section: UInt64, _ file: Int32, at place: UInt
    ) -> UInt {
        guard let pages = PageFile(scratch(held)) else { return 0 }
        defer { pages.close() }
        let length = Int(PS_DEVICE_ARRAY_SIZE)
        guard let slot = pages.slot(key, facts, section: section, of: file), pages.allocate(slot, 0, 4_096) else {
            return 0
        }
        guard ps_sys_map_shared_over(place, length, pages.fd, PageFile.offset(ofArray: slot)) > 0 else { return 0 }
        space.pointee.pages = (pages.facts.device, pages.facts.inode)
        ps_sys_private_to_process(place, length)
        return place
    }

    /// Gives the group of `place` memory, which is 32 KiB of the user's page arrays. False: it has none.
    @inline(never)
    private func grow(_ key: UInt64, _ place: PagePlace) -> Bool {
        // A refusal holds for a while: asking costs ten system calls, and a hint is not worth them each time.
        let now = ps_sys_coarse_now()
        guard now &- space.pointee.growthRefused.load(ordering: .relaxed) > Growth.rest else { return false }
        // It is charged to the memory cgroup of whoever takes it, as page tables are (``Weight``).
        let most = files.pointee.mostWeight.load(ordering: .relaxed)
        guard space.pointee.grown.load(ordering: .relaxed) < most, allocateGroup(key, place.page) else {
            space.pointee.growthRefused.store(now, ordering: .relaxed)
            return false
        }
        space.pointee.grown.wrappingAdd(Growth.pagesOfGroup, ordering: .relaxed)
        place.array.notePresent(place.page)
        return true
    }

    private func allocateGroup(_ key: UInt64, _ page: UInt64) -> Bool {
        guard let lock = EngineLock(self) else { return false }
        defer { lock.unlock() }
        guard claimTables(lock.held) else { return false }
        var step = GroupStep(held: lock.held, engine: self, key: key, page: page)
        onOwnStack(&step) { $0.assumingMemoryBound(to: GroupStep.self).pointee.run() }
        return step.isAllocated
    }

    fileprivate func allocateGroupOfOurs(_ held: LockHeld, _ key: UInt64, _ page: UInt64) -> Bool {
        guard let pages = PageFile(scratch(held)) else { return false }
        defer { pages.close() }
        // Where the file has been replaced, what is mapped here is another's.
        guard space.pointee.pages == (pages.facts.device, pages.facts.inode), let slot = pages.find(key) else {
            return false
        }
        let group = Int(page / UInt64(PS_DEVICE_GROUP_PAGES))
        return pages.allocate(slot, group &* Growth.bytes, Growth.bytes)
    }

    /// Maps a section of the device's page arrays; a section there is one of the device, not of a file.
    private func mappedDeviceSection(
        _ held: LockHeld, _ inode: UnsafeMutablePointer<Inode>, _ section: UInt64, at place: UInt
    ) -> UInt {
        guard let fd = openPages(held, mount(inode.pointee.mount)) else { return 0 }
        defer { _ = ps_sys_close(fd) }
        let length = Int(PS_DEVICE_ARRAY_SIZE)
        guard ps_sys_map_shared_over(place, length, fd, Int64(bitPattern: section) &* Int64(length)) > 0 else {
            return 0
        }
        ps_sys_private_to_process(place, length)
        return place
    }

}

/// Memory for page arrays.
private enum Growth {
    /// Bytes of a group's descriptors.
    static let bytes = Int(PS_DEVICE_GROUP_PAGES) &* Int(PS_DEVICE_DESCRIPTOR)
    /// Of 4 KiB.
    static let pagesOfGroup = UInt32(bytes >> 12)
    /// How long a refusal holds, ns.
    static let rest: Int64 = 1_000_000_000
}

private struct SectionStep: SlowStep {
    let held: LockHeld
    let engine: Engine
    let key: UInt64
    let inode: UnsafeMutablePointer<Inode>
    let section: UInt64
    let fd: Int32
    var base: UInt?

    mutating func run() { base = engine.enterSection(held, key, inode, section, fd) }
}

private struct GroupStep: SlowStep {
    let held: LockHeld
    let engine: Engine
    let key: UInt64
    let page: UInt64
    var isAllocated = false

    mutating func run() { isAllocated = engine.allocateGroupOfOurs(held, key, page) }
}
