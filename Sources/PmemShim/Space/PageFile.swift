import CShimSys

/// The user's file of page arrays in DRAM (ps_pages.h), open for as long as something is done in it: finding, and
/// claiming, the slot of a file's section, and giving it memory.
///
/// Slots are read and written by system calls, not through a mapping: this is done under the engine lock, where a fault
/// could not be survived, and once per section and process.
struct PageFile {
    private let file: RuntimeFile
    var fd: Int32 { file.fd }
    /// Room for PS_PAGES_PROBES slots.
    private let slots: UnsafeMutableRawPointer

    private static let slotSize = MemoryLayout<ps_pages_slot>.size
    private static let probes = Int(PS_PAGES_PROBES)
    static let room = slotSize * probes

    /// Opens or makes the file; nothing where there is none to be had.
    /// - Parameter scratch: room of ``Arena/scratchLength`` bytes, as long as this is used.
    init?(_ scratch: UnsafeMutablePointer<UInt8>) {
        let room = UnsafeMutableRawPointer(scratch) + 8_192
        guard
            let file = RuntimeFile.open(
                "pages", size: Int64(PS_PAGES_FILE_SIZE), scratch, capacity: longestPath,
                isGood: { PageFile.identify($0, room) })
        else { return nil }
        self.file = file
        slots = room
    }

    func close() { file.close() }

    var facts: ps_own_facts { file.facts }

    /// Puts the head in, or checks it. Two processes may both put it in: they write the same.
    private static func identify(_ file: RuntimeFile, _ room: UnsafeMutableRawPointer) -> Bool {
        let head = room.assumingMemoryBound(to: UInt64.self)
        guard ps_sys_pread(file.fd, head, 32, 0) == 32 else { return false }
        let sizes = UInt64(Self.slotSize) << 32 | UInt64(PS_PAGES_VERSION)
        let counts = UInt64(PS_PAGES_SAMPLE) << 32 | UInt64(PS_PAGES_SLOTS)
        if head[0] == 0 {
            head[0] = UInt64(PS_PAGES_MAGIC)
            head[1] = sizes
            head[2] = counts
            guard ps_sys_pwrite(file.fd, head, 24, 0) == 24 else { return false }
        }
        return head[0] == UInt64(PS_PAGES_MAGIC) && head[1] == sizes && head[2] == counts
    }

    /// Where the array of slot `number` begins, bytes.
    static func offset(ofArray number: Int) -> Int64 {
        Int64(PS_PAGES_ARRAYS) &+ Int64(number) &* Int64(PS_DEVICE_ARRAY_SIZE)
    }

    /// Allocates part of a slot's array, if the file may still grow: up to a 64th of its file system, which is the
    /// share that descriptors have of pages, at least 1 MiB. Beyond that some other slot, whichever, loses its hints.
    func allocate(_ number: Int, _ start: Int, _ length: Int) -> Bool {
        guard file.facts.memory < max(ps_sys_capacity(fd) >> 6, 1 << 20) else {
            evict(besides: number)
            return false
        }
        return ps_sys_allocate(fd, PageFile.offset(ofArray: number) &+ Int64(start), Int64(length)) == 0
    }

    private func evict(besides number: Int) {
        let count = Int(PS_PAGES_SLOTS)
        let start = Int(truncatingIfNeeded: UInt64(bitPattern: ps_sys_coarse_now()) >> 22) &* 61
        for step in 0..<count {
            let index = (start &+ step) & (count &- 1)
            let place = Int64(PS_PAGES_DIRECTORY) &+ Int64(index &* Self.slotSize)
            var key: UInt64 = 0
            guard index != number, ps_sys_pread(fd, &key, 8, place) == 8, key != 0 else { continue }
            key = 0
            _ = ps_sys_pwrite(fd, &key, 8, place)
            _ = ps_sys_punch(fd, PageFile.offset(ofArray: index), Int64(PS_DEVICE_ARRAY_SIZE))
            return
        }
    }

    /// The number of the slot with `key`: there already, or claimed for that section of the file with those facts.
    ///
    /// Whoever loses a race for a slot takes another. Where all places are taken, the file of one of them loses its
    /// hints.
    /// - Parameter fd: of the file, for its name.
    func slot(_ key: UInt64, _ facts: ps_file_facts, section: UInt64, of file: Int32) -> Int? {
        let first = PageKey.place(key)
        let offset = Int64(PS_PAGES_DIRECTORY) &+ Int64(first &* Self.slotSize)
        for round in 0..<4 {
            guard ps_sys_pread(fd, slots, Self.room, offset) == Self.room else { return nil }
            var free: Int?
            for index in 0..<Self.probes {
                let found = self.key(index)
                if found == key { return first &+ index }
                if found == 0, free == nil { free = index }
            }
            let index = free ?? Int(truncatingIfNeeded: (key >> 16) &+ UInt64(round)) & (Self.probes &- 1)
            describe(index, key, facts, section, file)
            let place = offset &+ Int64(index &* Self.slotSize)
            guard ps_sys_pwrite(fd, slots + index &* Self.slotSize, Self.slotSize, place) == Self.slotSize else {
                return nil
            }
        }
        return nil
    }

    /// The number of the slot that has `key` already.
    func find(_ key: UInt64) -> Int? {
        let first = PageKey.place(key)
        let offset = Int64(PS_PAGES_DIRECTORY) &+ Int64(first &* Self.slotSize)
        guard ps_sys_pread(fd, slots, Self.room, offset) == Self.room else { return nil }
        for index in 0..<Self.probes where self.key(index) == key { return first &+ index }
        return nil
    }

    private func key(_ index: Int) -> UInt64 { slots.load(fromByteOffset: index &* Self.slotSize, as: UInt64.self) }

    private func describe(_ index: Int, _ key: UInt64, _ facts: ps_file_facts, _ section: UInt64, _ file: Int32) {
        let slot = slots + index &* Self.slotSize
        let words = slot.assumingMemoryBound(to: UInt64.self)
        for at in 0..<Self.slotSize / 8 { words[at] = 0 }
        words[0] = key
        words[1] = facts.device
        words[2] = facts.inode
        words[3] = UInt64(bitPattern: facts.birth)
        words[4] = section
        words[5] = UInt64(bitPattern: ps_sys_realtime_now())
        // The kernel's own name for it, of which the end says most. The room behind the slots is not used otherwise.
        let text = (slots + Self.room).assumingMemoryBound(to: CChar.self)
        let count = ps_sys_location(file, text, longestPath)
        guard count > 0 else { return }
        let kept = min(count, Int(PS_PAGES_PATH) &- 1)
        for at in 0..<kept { slot.storeBytes(of: text[count &- kept &+ at], toByteOffset: 64 &+ at, as: CChar.self) }
    }

}
