import CShimSys
import Synchronization

/// Which way a write takes: the general one for all that the short ways decline, and those on DAX.
extension Engine {
    @inline(__always)
    static func isDurable(_ fd: Int32) -> Bool {
        Settings.current.pointee.may_have_dax != 0 && isKnownDurable(fd)
    }

    @inline(__always)
    private static func isKnownDurable(_ fd: Int32) -> Bool {
        guard let descriptor = Engine.current?.descriptor(fd) else { return false }
        return DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
            .hasUnsuspected(DescriptorWord.ours | DescriptorWord.durable)
    }

    @inline(never)
    static func durablePwrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: Int64) -> Int64 {
        guard let engine = Engine.current else { return passOnResult }
        let isShort = !WriteLength(count).isServed
        if !isShort, engine.durableWrite(fd, buffer, count, offset) { return Int64(count) }
        return engine.tryPlainPwrite(fd, count, offset, isShort: isShort)
            ? passOnResult : generalPwrite(fd, buffer, count, offset)
    }

    @inline(__always)
    static func tryPlainPwrite(_ fd: Int32, _ count: Int, _ offset: Int64) -> Bool {
        guard let engine = Engine.current else { return false }
        return engine.tryPlainPwrite(fd, count, offset, isShort: !WriteLength(count).isServed)
    }

    @inline(never)
    static func generalPwrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: Int64) -> Int64 {
        guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_PWRITE),
            !engine.isVainWrite(target, count)
        else { return passOnResult }
        guard target.thread.mayCopy else { return engine.leftToKernel(target, count) }
        if target.word.has(DescriptorWord.durable), ps_single_threaded(), target.inode.has(InodeFlag.aloof) {
            let outcome = WriteLength(count).isServed ? PS_OUTCOME_COLD : PS_OUTCOME_SMALL
            return engine.passOn(target, outcome, offset, count, tick: ps_sys_coarse_now())
        }
        return engine.positionedWrite(target, PlainWrite(buffer: buffer, count: count), offset)
    }

    @inline(never)
    static func generalWrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int64 {
        guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_WRITE),
            !engine.isVainWrite(target, count)
        else { return passOnResult }
        guard target.thread.mayCopy else { return engine.leftToKernel(target, count) }
        return engine.implicitWrite(target, PlainWrite(buffer: buffer, count: count))
    }
}
