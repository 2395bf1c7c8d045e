import CShimSys
import Synchronization

// The engine's side of ps_engine.h: data calls. Each asks what the descriptor is and hands over to the transfer.

#if !hasFeature(Embedded)
    /// A pread by both ways, fast and general, without the C face: for tests of the engine alone.
    public func enginePread(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int, offset: Int64) -> Int64 {
        if isQuicklyRead(fd, buffer, count, offset) { return Int64(count) }
        return engineSlowPread(fd: fd, buffer: buffer, count: count, offset: offset)
    }
#endif

@c(ps_engine_quick_pread) @implementation
public func engineQuickPread(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int, offset: Int64) -> Int64 {
    if isQuicklyRead(fd, buffer, count, offset) { return Int64(count) }
    return ps_face_slow_pread(fd, buffer, count, offset)
}

/// True: all `count` bytes are there. False: nothing is decided.
@inline(__always)
private func isQuicklyRead(_ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int, _ offset: Int64) -> Bool {
    guard let range = Engine.fastRange(fd, offset, count, rights: DescriptorWord.reads, writes: false) else {
        return false
    }
    let faulted = ps_copy_probed_in_place(buffer, UnsafeRawPointer(bitPattern: range.start), count, range.probe)
    guard range.call.leave(), faulted == 0 else { return false }
    range.served(PS_FAMILY_PREAD, bytes: count, at: CounterLayout.servedRead)
    return true
}

/// Decides anew, says why not, mends what can be mended. A copy that has faulted faults here once more and is counted.
@c(ps_engine_slow_pread) @implementation
public func engineSlowPread(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int, offset: Int64) -> Int64 {
    guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_PREAD) else { return Int64.min }
    guard target.thread.mayCopy else { return engine.passOn(target, PS_OUTCOME_COLD, -1, count) }
    return engine.positionedRead(target, PlainRead(buffer: buffer, count: count), offset)
}

@c(ps_engine_read) @implementation
public func engineRead(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int) -> Int64 {
    guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_READ) else { return Int64.min }
    guard target.thread.mayCopy else { return engine.passOn(target, PS_OUTCOME_COLD, -1, count) }
    return engine.implicitRead(target, PlainRead(buffer: buffer, count: count))
}

@c(ps_engine_pwrite) @implementation
public func enginePwrite(fd: Int32, buffer: UnsafeRawPointer?, count: Int, offset: Int64) -> Int64 {
    if Settings.current.pointee.may_have_dax != 0, isDurable(fd) { return durablePwrite(fd, buffer, count, offset) }
    let length = WriteLength(count)
    if length.isOneStore || (length.isPastCaches && count <= mostInOneCall), ps_single_threaded(),
        isUserRange(UInt(bitPattern: buffer), count),
        let range = Engine.fastRange(fd, offset, count, rights: DescriptorWord.writes, writes: true)
    {
        // With one thread there is nobody to keep out of the stripes.
        let isTickTaken = range.inode.pointee.lastTick.load(ordering: .relaxed) == ps_sys_coarse_now()
        var faulted: Int32 = 1
        if isTickTaken {
            let window = UnsafeMutableRawPointer(bitPattern: range.start)
            if length.isOneStore {
                faulted = ps_store_whole(window, buffer, count) | ps_probe(range.probe)
            } else {
                faulted = ps_probe_rest(buffer, count)
                if faulted == 0 { faulted = ps_copy_through(window, buffer, count) | ps_probe(range.probe) }
            }
        }
        let stayed = range.call.leave()
        if faulted == 0, stayed {
            range.served(PS_FAMILY_PWRITE, bytes: count, at: CounterLayout.servedWritten)
            return Int64(count)
        }
    }
    if let engine = Engine.current,
        engine.isPlainPwrite(fd, count, offset, isShort: !length.isServed)
    {
        return Int64.min
    }
    return slowPwrite(fd, buffer, count, offset)
}

@inline(__always)
private func isDurable(_ fd: Int32) -> Bool {
    guard let descriptor = Engine.current?.descriptor(fd) else { return false }
    return DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        .hasUnsuspected(DescriptorWord.ours | DescriptorWord.durable)
}

@inline(never)
private func durablePwrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: Int64) -> Int64 {
    guard let engine = Engine.current else { return Int64.min }
    let isShort = !WriteLength(count).isServed
    if !isShort, engine.durableWrite(fd, buffer, count, offset) { return Int64(count) }
    return engine.isPlainPwrite(fd, count, offset, isShort: isShort)
        ? Int64.min : slowPwrite(fd, buffer, count, offset)
}

@inline(never)
private func slowPwrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: Int64) -> Int64 {
    guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_PWRITE) else { return Int64.min }
    guard target.thread.mayCopy else { return engine.leftToKernel(target, count) }
    if target.word.has(DescriptorWord.durable) {
        if ps_single_threaded(), target.inode.has(InodeFlag.aloof) {
            return engine.passOn(target, PS_OUTCOME_COLD, offset, count, tick: ps_sys_coarse_now())
        }
    }
    return engine.positionedWrite(target, PlainWrite(buffer: buffer, count: count), offset)
}

@c(ps_engine_write) @implementation
public func engineWrite(fd: Int32, buffer: UnsafeRawPointer?, count: Int) -> Int64 {
    guard let engine = Engine.current else { return Int64.min }
    if engine.isPlainAppend(fd, count) { return Int64.min &+ 1 }
    return slowWrite(fd, buffer, count)
}

@inline(never)
private func slowWrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int64 {
    guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_WRITE) else { return Int64.min }
    guard target.thread.mayCopy else { return engine.leftToKernel(target, count) }
    return engine.implicitWrite(target, PlainWrite(buffer: buffer, count: count))
}

@c(ps_engine_fell_short) @implementation
public func engineFellShort(fd: Int32, count: Int, result: Int64) {
    Engine.current?.fellShort(fd, count, result)
}

@c(ps_engine_settle) @implementation
public func engineSettle() {
    guard let engine = Engine.current, engine.maySettle else { return }
    engine.settleAll()
    engine.settleAtEnd()
}

@c(ps_engine_readv) @implementation
public func engineReadv(
    fd: Int32, vector: UnsafePointer<iovec>?, count: Int32, offset: Int64, flags: Int32, positioned: Bool
) -> Int64 {
    let atOffset = positioned && offset != -1
    guard let engine = Engine.current,
        let target = engine.target(fd, positioned ? PS_FAMILY_PREADV : PS_FAMILY_READV)
    else { return Int64.min }
    guard flags & ~Int32(PS_RWF_HIPRI.rawValue) == 0 else { return engine.passOn(target, PS_OUTCOME_FLAGS, -1, 0) }
    guard engine.canCopy(target, writes: false) else { return engine.passOn(target, PS_OUTCOME_COLD, -1, 0) }
    guard let room = Vector.takeRoom(target.thread, frame: ps_frame()) else {
        return engine.passOn(target, PS_OUTCOME_COLD, -1, 0)
    }
    let buffer = Vector(vector, count, room: room)
    let result = atOffset ? engine.positionedRead(target, buffer, offset) : engine.implicitRead(target, buffer)
    ps_vector_room_give(room)
    return result
}

@c(ps_engine_writev) @implementation
public func engineWritev(
    fd: Int32, vector: UnsafePointer<iovec>?, count: Int32, offset: Int64, flags: Int32, positioned: Bool
) -> Int64 {
    let atOffset = positioned && offset != -1
    guard let engine = Engine.current,
        let target = engine.target(fd, positioned ? PS_FAMILY_PWRITEV : PS_FAMILY_WRITEV)
    else { return Int64.min }
    let isPlain = flags & ~Int32(PS_RWF_HIPRI.rawValue) == 0
    guard isPlain || (atOffset && engine.mayPromise(target, flags)) else {
        return engine.passOn(target, PS_OUTCOME_FLAGS, -1, 0)
    }
    guard engine.canCopy(target, writes: true) else { return engine.leftToKernel(target, 0) }
    guard let room = Vector.takeRoom(target.thread, frame: ps_frame()) else {
        return engine.passOn(target, PS_OUTCOME_COLD, -1, 0)
    }
    let buffer = Vector(vector, count, room: room)
    let result: Int64
    if !isPlain {
        result = engine.promisedWrite(target, buffer, offset, flags)
    } else if atOffset {
        result = engine.positionedWrite(target, buffer, offset)
    } else {
        result = engine.implicitWrite(target, buffer)
    }
    ps_vector_room_give(room)
    return result
}

@c(ps_engine_sync) @implementation
public func engineSync(fd: Int32, family: ps_family) -> Int64 {
    ps_thread_current().pointee.pending = PS_PENDING_NOTHING.rawValue
    guard let engine = Engine.current, let descriptor = engine.descriptor(fd),
        // Asks nothing of an unknown descriptor: one that is only ever synced is not worth classifying.
        DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring)).has(DescriptorWord.ours),
        let target = engine.target(fd, family)
    else { return Int64.min }
    return engine.sync(target)
}
