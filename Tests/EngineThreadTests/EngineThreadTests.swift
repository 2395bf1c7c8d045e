import CShimSys
import Glibc
import Synchronization
import TestSupport
import Testing

/// Many threads in the engine of one process. Under ThreadSanitizer (`scripts/test --sanitize`) every unordered access
/// to its tables is reported; without it, what the threads read and write is still checked.
@Suite("Threads in the engine", .serialized, EngineOnTmpfs())
struct EngineThreadTests {
    let block = Sample.blockSize

    @Test("blocks that threads write and read at the same places are each some thread's whole write")
    func writersDoNotMix() throws {
        let sample = try Sample("mix", tag: 1)
        let fd = Face.open(sample.path, O_RDWR)
        defer { Face.close(fd) }
        try expectNothingWrong { wrong in
            try inThreads(4) { number, sequence, buffer, address in
                for round in 0..<6_000 {
                    let offset = sequence.next(below: 16) * block
                    if round % 2 == 0 {
                        memset(address, Int32(100 + number), block)
                        wrong.check(Face.pwrite(fd, address, block, at: offset) == block)
                    } else {
                        wrong.check(Face.pread(fd, address, block, at: offset) == block)
                    }
                }
            }
        }
        // Readers and writers are not kept apart, natively neither (tmpfs); but no two writes have been mixed.
        withBlock { buffer in
            for index in 0..<16 {
                #expect(pread(fd, buffer.baseAddress, block, off_t(index * block)) == block)
                #expect(buffer.uniform(block) != nil, "block \(index)")
            }
        }
    }

    @Test("threads that read one descriptor at its offset get every block once")
    func offsetIsShared() throws {
        let sample = try Sample("shared", tag: 20, blocks: 4_096)
        let fd = Face.open(sample.path, O_RDONLY)
        defer { Face.close(fd) }
        let taken = Atomic<Int>(0)
        try expectNothingWrong { wrong in
            try inThreads(4) { _, _, buffer, address in
                while true {
                    let count = Face.read(fd, address, block)
                    if count == 0 { break }
                    wrong.check(count == block && buffer.uniform(block) != nil)
                    taken.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        #expect(taken.load(ordering: .relaxed) == sample.blocks)
    }

    @Test("a number that is closed and opened again by many threads never shows another file's bytes")
    func numbersAreReused() throws {
        let samples = try (0..<4).map { try Sample("reuse\($0)", tag: UInt8(40 + 16 * $0), blocks: 16) }
        try expectNothingWrong { wrong in
            try inThreads(4) { _, sequence, buffer, address in
                for _ in 0..<400 {
                    let sample = samples[sequence.next(below: samples.count)]
                    let fd = Face.open(sample.path, O_RDWR)
                    let copy = Face.dup(fd)
                    for _ in 0..<8 {
                        let at = sequence.next(below: sample.blocks)
                        wrong.check(Face.pread(fd, address, block, at: at * block) == block)
                        wrong.check(buffer.uniform(block) == sample.byte(at))
                    }
                    Face.close(fd)  // the window moves to the copy, or goes
                    wrong.check(Face.pread(copy, address, block, at: 0) == block)
                    wrong.check(buffer.uniform(block) == sample.byte(0))
                    Face.close(copy)
                }
            }
        }
    }

    @Test("a descriptor forgotten by some threads is served to the others, or passed on, and right")
    func forgottenUnderWay() throws {
        let sample = try Sample("forgotten", tag: 60)
        let fd = Face.open(sample.path, O_RDWR)
        defer { Face.close(fd) }
        try expectNothingWrong { wrong in
            try inThreads(4) { number, sequence, buffer, address in
                for round in 0..<4_000 {
                    let at = sequence.next(below: sample.blocks)
                    if number < 3 {
                        wrong.check(Face.pread(fd, address, block, at: at * block) == block)
                        wrong.check(buffer.uniform(block) == sample.byte(at))
                    } else if round % 100 == 0 {
                        engineEvictAll()
                    } else if round % 10 == 0 {
                        engineEvict(fd: fd)
                    }
                }
            }
        }
    }

    @Test("a file cut and filled again under its readers gives its bytes, zeroes, or less")
    func cutUnderWay() throws {
        let sample = try Sample("cut", tag: 80)
        let fd = Face.open(sample.path, O_RDWR)
        defer { Face.close(fd) }
        let tail = (0..<64).flatMap { [UInt8](repeating: sample.byte($0), count: block) }
        try expectNothingWrong { wrong in
            try inThreads(4) { number, sequence, buffer, address in
                for round in 0..<600 {
                    if number == 0 {
                        // By the kernel alone, as another process would: copies under way fault. Now and then the
                        // engine hears of it.
                        ftruncate(fd, off_t((sample.blocks - tail.count / block) * block))
                        usleep(50)
                        _ = pwrite(fd, tail, tail.count, off_t(sample.blocks * block - tail.count))
                        if round % 4 == 0 { engineResized(fd: fd) }
                        usleep(200)
                    } else {
                        let at = sequence.next(below: sample.blocks)
                        let count = Face.pread(fd, address, block, at: at * block)
                        wrong.check(count == block || count == 0)
                        guard count == block else { continue }
                        if buffer.uniform(block) == sample.byte(at) { continue }
                        wrong.check(buffer.allSatisfy { $0 == 0 || $0 == sample.byte(at) })
                    }
                }
            }
        }
    }

    @Test("threads that meet a new file at the same moment all get its bytes")
    func metAtTheSameMoment() throws {
        let wrong = Wrong()
        for round in 0..<40 {
            let sample = try Sample("new\(round)", tag: UInt8(round), blocks: 16)
            let fd = Face.open(sample.path, O_RDWR)
            let gate = Atomic<Int>(0)
            try inThreads(4) { _ in
                gate.wrappingAdd(1, ordering: .relaxed)
                while gate.load(ordering: .relaxed) < 4 { sched_yield() }
                withBlock { buffer in
                    guard let address = buffer.baseAddress else { return }
                    for at in 0..<8 {
                        wrong.check(Face.pread(fd, address, block, at: at * block) == block)
                        wrong.check(buffer.uniform(block) == sample.byte(at))
                    }
                }
            }
            Face.close(fd)
            unlink(sample.path)
        }
        #expect(wrong.times == 0)
    }

    @Test("giving way and resuming under readers and writers changes no result")
    func givingWay() throws {
        let sample = try Sample("way", tag: 120)
        let fd = Face.open(sample.path, O_RDWR)
        defer { Face.close(fd) }
        try expectNothingWrong { wrong in
            try inThreads(4) { number, sequence, buffer, address in
                for round in 0..<600 {
                    let at = sequence.next(below: sample.blocks)
                    if number == 0, round % 20 == 0 {
                        let reason = round % 40 == 0 ? PS_GIVE_WAY_MLOCKALL : PS_GIVE_WAY_FILE_SIZE
                        engineGiveWay(reason: reason)
                        usleep(200)
                        engineResume(reason: reason)
                    }
                    memset(address, Int32(sample.byte(at)), block)
                    if round % 3 == 0 {
                        wrong.check(Face.pwrite(fd, address, block, at: at * block) == block)
                    } else {
                        wrong.check(Face.pread(fd, address, block, at: at * block) == block)
                    }
                    wrong.check(buffer.uniform(block) == sample.byte(at))
                }
            }
        }
    }
}
