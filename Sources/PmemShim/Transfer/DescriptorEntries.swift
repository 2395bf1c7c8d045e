import CShimSys
import Synchronization

// The engine's side of ps_engine.h: descriptors, files, giving way, life.

@c(ps_engine_evict) @implementation
public func engineEvict(fd: Int32) {
    Engine.current?.evict(fd)
}

@c(ps_engine_bar) @implementation
public func engineBar(fd: Int32) {
    Engine.current?.evict(fd, barred: true)
}

@c(ps_engine_evict_range) @implementation
public func engineEvictRange(first: UInt32, last: UInt32) {
    Engine.current?.evictRange(first, last)
}

@c(ps_engine_changes_flags) @implementation
public func engineChangesFlags(fd: Int32, flags: Int32) -> Bool {
    guard let engine = Engine.current, engine.files.pointee.usedInodes.load(ordering: .relaxed) > 0 else {
        return false
    }
    return engine.changesFlags(fd, flags)
}

@c(ps_engine_evict_all) @implementation
public func engineEvictAll() {
    Engine.current?.evictAll()
}

@c(ps_engine_passed_on) @implementation
public func enginePassedOn(fd: Int32, family: ps_family, result: Int64) {
    guard let engine = Engine.current else { return }
    engine.passedOn(fd, family, result)
}

@c(ps_engine_resized) @implementation
public func engineResized(fd: Int32) {
    engineEmptied(fd: fd, from: 0, to: 0)
}

@c(ps_engine_emptied) @implementation
public func engineEmptied(fd: Int32, from: Int64, to: Int64) {
    guard let engine = Engine.current, engine.files.pointee.usedInodes.load(ordering: .relaxed) > 0 else { return }
    engine.noteResize(of: fd, emptiedFrom: from, emptiedTo: to)
    engine.countUnknownResize(fd)
}

@c(ps_engine_resized_to) @implementation
public func engineResizedTo(fd: Int32, start: Int64, size: Int64, isExact: Bool) -> Bool {
    guard let engine = Engine.current else { return true }
    return engine.noteResized(fd, from: start, to: size, isExact: isExact)
}

@c(ps_engine_resized_path) @implementation
public func engineResizedPath(path: UnsafePointer<CChar>?) {
    guard let path, let engine = Engine.current, engine.files.pointee.usedInodes.load(ordering: .relaxed) > 0 else {
        return
    }
    var facts = ps_file_facts()
    guard ps_sys_facts_of_path(path, &facts) == 0 else { return }
    engine.noteResize(facts, emptiedFrom: max(facts.size, 0), emptiedTo: Int64.max)
}

@c(ps_engine_count) @implementation
public func engineCount(fd: Int32, family: ps_family) {
    guard let engine = Engine.current, let descriptor = engine.descriptor(fd) else { return }
    let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
    if family == PS_FAMILY_MMAP { engine.noteMapped(fd, descriptor, word) }
    guard word.has(DescriptorWord.ours) else { return }
    engine.target(fd, family)?.count(PS_OUTCOME_KERNEL)
}

@c(ps_engine_give_way) @implementation
public func engineGiveWay(reason: ps_give_way) {
    // Set first: nothing is learnt or mapped anew once the eviction below has passed it.
    ps_set_given_way(UInt32(reason.rawValue), 0)
    Engine.current?.evictAll()
    if reason == PS_GIVE_WAY_MLOCKALL { Engine.current?.coverSections() }
}

@c(ps_engine_resume) @implementation
public func engineResume(reason: ps_give_way) {
    ps_set_given_way(0, UInt32(reason.rawValue))
    Engine.current?.evictAll()
}

@c(ps_engine_start) @implementation
public func engineStart(environment: UnsafePointer<UnsafeMutablePointer<CChar>?>?) {
    guard ps_root() == nil, Settings.read(environment), Layouts.hold else { return }
    // Under a limit of address space nothing is served; then nothing is to be taken of it either.
    guard !ps_sys_address_space_limited() else { return }
    ps_frames_prepare()
    guard let arena = ps_sys_arena(Arena.length) else { return }
    ps_set_root(arena, Arena.descriptorsOffset, UInt32(Arena.descriptors))
}

@c(ps_engine_windows_exist) @implementation
public func engineWindowsExist() -> Bool {
    guard let engine = Engine.current else { return false }
    return engine.root.pointee.windowsExisted.load(ordering: .acquiring) != 0
}

@c(ps_engine_is_window) @implementation
public func engineIsWindow(address: UInt) -> Bool {
    guard let engine = Engine.current else { return false }
    let used = min(engine.files.pointee.usedInodes.load(ordering: .relaxed), UInt32(Arena.inodes))
    for index in 0..<used {
        let base = engine.inode(index).pointee.base.load(ordering: .acquiring)
        let length = UInt(bitPattern: Int(max(engine.inode(index).pointee.length.load(ordering: .acquiring), 0)))
        let probeBase = engine.inode(index).pointee.probeBase.load(ordering: .acquiring)
        if base != 0, address &- base < length || address &- probeBase < length { return true }
    }
    return false
}

@c(ps_engine_log_once) @implementation
public func engineLogOnce(bit: UInt32, text: UnsafePointer<CChar>) {
    guard let engine = Engine.current, Settings.current.pointee.log != 0, let lock = EngineLock(engine) else { return }
    defer { lock.unlock() }
    let mask = UInt32(1) << (bit & 31)
    guard engine.observe.pointee.saidOnce & mask == 0 else { return }
    engine.observe.pointee.saidOnce |= mask
    engine.log(lock.held, UnsafePointer(OpaquePointer(text)))
}

/// What the arena takes for granted of the compiler's layouts: constants at compile time, so this costs nothing.
enum Layouts {
    static var hold: Bool {
        MemoryLayout<Root>.size <= Arena.observeOffset
            && Arena.observeOffset &+ MemoryLayout<ObserveState>.size <= Arena.mountsStateOffset
            && Arena.mountsStateOffset &+ MemoryLayout<MountsState>.size <= Arena.filesStateOffset
            && Arena.filesStateOffset &+ MemoryLayout<FilesState>.size <= Arena.spaceStateOffset
            && Arena.spaceStateOffset &+ MemoryLayout<SpaceState>.size <= Arena.windowsStateOffset
            && Arena.windowsStateOffset &+ MemoryLayout<WindowsState>.size <= Int(PS_ROOT_REGION)
            && Arena.sections &* Int(PS_DEVICE_ARRAY_SIZE) == Int(PS_ROOT_REGIONS) &* Int(PS_ROOT_REGION_SIZE)
            && MemoryLayout<Descriptor>.stride == 32
            && MemoryLayout<Inode>.stride == 256 && MemoryLayout<ThreadRecord>.stride == 64
            && MemoryLayout<RetiredRange>.stride == 16 && MemoryLayout<MappedSection>.stride == 32
            && MemoryLayout<RememberedExtent>.stride == 32
            && MemoryLayout<Mount>.size <= 64
            && MemoryLayout<ServedTree>.size <= 64
            && MemoryLayout<ps_stats_counters>.stride == CounterLayout.stride
    }
}
