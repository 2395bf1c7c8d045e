import CShimSys
import Synchronization
import Testing

@testable import PmemShim

/// An arena of the test's own, and records in it that belong to the calling thread.
private func withEngine(_ body: (Engine) throws -> Void) rethrows {
    guard let arena = ps_sys_arena(Arena.length) else { return }
    defer { _ = ps_sys_unmap(UInt(bitPattern: arena), Arena.length) }
    let engine = Engine(address: arena)
    engine.root.pointee.owner.store(Int32(ps_sys_process()), ordering: .relaxed)
    for index in 0..<2 { engine.thread(index).pointee.thread.store(Int32(ps_sys_thread()), ordering: .relaxed) }
    try body(engine)
}

extension Stripes {
    fileprivate func words(_ engine: Engine, _ inode: UnsafeMutablePointer<Inode>) -> [Bool] {
        (0..<Stripes.perInode).map { engine.stripes(inode)[$0].load(ordering: .relaxed) != 0 }
    }
}

@Suite("Writers of one inode keep out of each other's stripes")
struct StripesTests {
    @Test("ranges that overlap exclude one another", .timeLimit(.minutes(1)))
    func overlapping() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            let one = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            let other = try #require(ServedCall(engine.thread(1), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, inode, one))
            #expect(!Stripes(4_000, 8_192).claim(engine, inode, other))
            Stripes(0, 4_096).release(engine, inode)
            #expect(Stripes(4_000, 8_192).claim(engine, inode, other))
        }
    }

    @Test("ranges that are apart do not, nor do those of another inode")
    func apart() throws {
        try withEngine { engine in
            let one = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            let other = try #require(ServedCall(engine.thread(1), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, engine.inode(3), one))
            #expect(Stripes(1 << 16, 4_096).claim(engine, engine.inode(3), other))
            #expect(Stripes(63 << 16, 4_096).claim(engine, engine.inode(3), other))
            #expect(Stripes(0, 4_096).claim(engine, engine.inode(4), other))
        }
    }

    @Test("a range across the wrap takes both ends, and a long one all")
    func wrapping() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            let call = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            let wrapping = Stripes(63 << 16, 2 << 16)  // stripes 63 and 64, which is 0
            #expect(wrapping.claim(engine, inode, call))
            #expect(wrapping.words(engine, inode) == (0..<64).map { $0 == 0 || $0 == 63 })
            wrapping.release(engine, inode)
            #expect(!wrapping.words(engine, inode).contains(true))
            let long = Stripes(1 << 16, 64 << 16)
            #expect(long.claim(engine, inode, call))
            #expect(!long.words(engine, inode).contains(false))
        }
    }

    @Test("a range that cannot be had whole is not kept in part", .timeLimit(.minutes(1)))
    func allOrNone() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            let one = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            let other = try #require(ServedCall(engine.thread(1), frame: ps_frame()))
            #expect(Stripes(9 << 16, 1).claim(engine, inode, one))
            let whole = Stripes(5 << 16, 8 << 16)
            #expect(!whole.claim(engine, inode, other))
            #expect(whole.words(engine, inode) == (0..<64).map { $0 == 9 })
        }
    }

    @Test("a handler does not wait for the call it has interrupted")
    func ownThread() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            let interrupted = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, inode, interrupted))
            // Another frame, in another place of the same thread.
            let handler = try #require(ServedCall(engine.thread(0), frame: ps_frame() &- 4_096))
            #expect(handler.place != interrupted.place)
            #expect(!Stripes(0, 4_096).claim(engine, inode, handler))
        }
    }

    @Test("what a call that is over has left behind is taken")
    func leftBehind() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            let gone = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, inode, gone))
            gone.leave()
            let next = try #require(ServedCall(engine.thread(1), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, inode, next))
        }
    }

    @Test("what a call in a frame that is gone has left behind is taken")
    func frameGone() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            // Never was a frame, and the page cannot be read: as of a stack that has been unmapped.
            let gone = try #require(ServedCall(engine.thread(0), frame: 0x1000))
            #expect(Stripes(0, 4_096).claim(engine, inode, gone))
            let next = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            #expect(next.place == gone.place)
            #expect(Stripes(0, 4_096).claim(engine, inode, next))
            next.leave()
        }
    }

    @Test("what a thread that is no more has left behind is taken")
    func threadGone() throws {
        try withEngine { engine in
            let inode = engine.inode(3)
            engine.thread(1).pointee.thread.store(Int32.max, ordering: .relaxed)
            let gone = try #require(ServedCall(engine.thread(1), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, inode, gone))
            let next = try #require(ServedCall(engine.thread(0), frame: ps_frame()))
            #expect(Stripes(0, 4_096).claim(engine, inode, next))
        }
    }
}

@Suite("Calls that go on are announced, each in a place of its own")
struct ServedCallTests {
    @Test("no more calls than places, and a place is free again when its call has ended")
    func places() throws {
        try withEngine { engine in
            let record = engine.thread(0)
            // In a live frame, but for the distance, which makes four of one: the return address is looked at there.
            var frames = [UInt](repeating: 0, count: 64)
            try frames.withUnsafeMutableBufferPointer { buffer in
                let start = (UInt(bitPattern: buffer.baseAddress) &+ 15) & ~15
                let back = UnsafePointer<UInt>(bitPattern: ps_frame() &+ 8)
                for index in 0..<5 {
                    let place = UnsafeMutablePointer<UInt>(bitPattern: start &+ UInt(index) &* 32 &+ 8)
                    place?.pointee = back?.pointee ?? 0
                }
                let calls = try (0..<4).map { try #require(ServedCall(record, frame: start &+ UInt($0) &* 32)) }
                #expect(Set(calls.map { UInt(bitPattern: $0.place) }).count == 4)
                #expect(ServedCall(record, frame: start &+ 4 &* 32) == nil)
                calls[2].leave()
                let next = try #require(ServedCall(record, frame: start &+ 4 &* 32))
                #expect(next.place == calls[2].place)
            }
        }
    }

    @Test("the places are where the layout says")
    func layout() {
        #expect(MemoryLayout<ThreadRecord>.stride == 64)
        withEngine { engine in
            let record = engine.thread(1)
            record.pointee.call.store(77, ordering: .relaxed)
            #expect(ServedCall.place(record, 0).pointee.load(ordering: .relaxed) == 77)
        }
    }

    @Test("a frame is live while its function runs, and an unreadable address is none")
    func frames() {
        ps_frames_prepare()
        #expect(ps_frame_may_live(ps_frame()))
        #expect(!ps_frame_may_live(0x1000))
    }

    @Test("numbers at and above the table's bound are unknown and stay so")
    func aboveTheTable() {
        withEngine { engine in
            #expect(engine.descriptor(65_535) != nil)
            for fd: Int32 in [65_536, 70_000, 1_000_000, .max, -1, .min] {
                #expect(engine.descriptor(fd) == nil)
                #expect(engine.target(fd, PS_FAMILY_PREAD) == nil)
                engine.evict(fd)
            }
            engine.evictRange(65_530, .max)
        }
    }
}
