import CShimSys
import Synchronization

// The engine's side of ps_engine.h: calls that write to a file inside the kernel (copy_file_range, sendfile, splice).

@c(ps_engine_must_be_alone) @implementation
public func engineMustBeAlone(fd: Int32) -> Bool {
    // With one thread there is nobody to keep out of the stripes.
    guard !ps_single_threaded(), let engine = Engine.current, let descriptor = engine.descriptor(fd),
        engine.root.pointee.windowsExisted.load(ordering: .acquiring) != 0, ps_given_way() & GiveWay.stops == 0
    else { return false }
    var word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
    if !word.has(DescriptorWord.known) {
        // Its file may be in use by another descriptor.
        engine.classify(fd)
        word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
    }
    return word.has(DescriptorWord.ours)
}

@c(ps_engine_begin_copy) @implementation
public func engineBeginCopy(fd: Int32, frame: UInt, alone: UnsafeMutablePointer<ps_alone>) {
    alone.pointee = ps_alone(call: 0, inode: 0)
    guard let engine = Engine.current, let target = engine.target(fd, PS_FAMILY_COPY) else { return }
    ps_signals_ready()
    guard let call = ServedCall(target.thread.record, frame: frame) else { return }
    guard Stripes.all.claim(engine, target.inode, call) else {
        call.leave()
        return
    }
    alone.pointee = ps_alone(call: UInt(bitPattern: call.place), inode: UInt(bitPattern: target.inode))
}

@c(ps_engine_end_copy) @implementation
public func engineEndCopy(alone: UnsafePointer<ps_alone>) {
    guard let engine = Engine.current,
        let place = UnsafeMutablePointer<Atomic<UInt>>(bitPattern: alone.pointee.call),
        let inode = UnsafeMutablePointer<Inode>(bitPattern: alone.pointee.inode)
    else { return }
    let call = ServedCall(resumed: place)
    // A signal handler has forked, and this is the child: nothing is held here.
    guard call.goesOn else { return }
    Stripes.all.release(engine, inode)
    call.leave()
}
