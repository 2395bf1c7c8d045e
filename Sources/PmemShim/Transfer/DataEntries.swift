import CShimSys
import Synchronization

// The engine's side of ps_engine.h: data calls. Each has a file of its own subject behind it.

#if !hasFeature(Embedded)
    /// A pread by both ways, fast and general, without the C face: for tests of the engine alone.
    public func enginePread(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int, offset: Int64) -> Int64 {
        if Engine.fastPread(fd, buffer, count, offset) { return Int64(count) }
        return engineGeneralPread(fd: fd, buffer: buffer, count: count, offset: offset)
    }
#endif

@c(ps_engine_fast_pread) @implementation
public func engineFastPread(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int, offset: Int64) -> Int64 {
    if Engine.fastPread(fd, buffer, count, offset) { return Int64(count) }
    return wholePread(fd, buffer, count, offset)
}

/// A pread that the fast way has declined, as libc's caller sees it: a cancellation point, with errno. The fast way
/// jumps here, and the last jump of this one is to the face. Not in a type, where the compiler would put a jump more.
@inline(never)
private func wholePread(_ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int, _ offset: Int64) -> Int64 {
    ps_cancellation_point()
    return ps_face_end_pread(fd, buffer, count, offset, Engine.generalPread(fd, buffer, count, offset))
}

@c(ps_engine_general_pread) @implementation
public func engineGeneralPread(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int, offset: Int64) -> Int64 {
    Engine.generalPread(fd, buffer, count, offset)
}

@c(ps_engine_read) @implementation
public func engineRead(fd: Int32, buffer: UnsafeMutableRawPointer?, count: Int) -> Int64 {
    guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_READ) else { return passOnResult }
    guard target.thread.mayCopy else { return engine.passOn(target, PS_OUTCOME_COLD, -1, count) }
    return engine.implicitRead(target, PlainRead(buffer: buffer, count: count))
}

@c(ps_engine_pwrite) @implementation
public func enginePwrite(fd: Int32, buffer: UnsafeRawPointer?, count: Int, offset: Int64) -> Int64 {
    if Engine.isDurable(fd) { return Engine.durablePwrite(fd, buffer, count, offset) }
    if Engine.fastPwrite(fd, buffer, count, offset) { return Int64(count) }
    if Engine.tryPlainPwrite(fd, count, offset) { return passOnResult }
    return Engine.generalPwrite(fd, buffer, count, offset)
}

@c(ps_engine_write) @implementation
public func engineWrite(fd: Int32, buffer: UnsafeRawPointer?, count: Int) -> Int64 {
    guard let engine = Engine.current else { return passOnResult }
    if engine.tryPlainAppend(fd, count) { return passOnSettledResult }
    return Engine.generalWrite(fd, buffer, count)
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
    Engine.current?.readv(fd, .readv(positioned), vector, count, at: positioned ? offset : nil, flags) ?? passOnResult
}

@c(ps_engine_writev) @implementation
public func engineWritev(
    fd: Int32, vector: UnsafePointer<iovec>?, count: Int32, offset: Int64, flags: Int32, positioned: Bool
) -> Int64 {
    Engine.current?.writev(fd, .writev(positioned), vector, count, at: positioned ? offset : nil, flags)
        ?? passOnResult
}

@c(ps_engine_sync) @implementation
public func engineSync(fd: Int32, family: ps_family) -> Int64 {
    ps_thread_current().pointee.pending = PS_PENDING_NOTHING.rawValue
    guard let engine = Engine.current, let descriptor = engine.descriptor(fd),
        // Asks nothing of an unknown descriptor: one that is only ever synced is not worth classifying.
        DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring)).has(DescriptorWord.ours),
        let target = engine.target(fd, family)
    else { return passOnResult }
    return engine.sync(target)
}
