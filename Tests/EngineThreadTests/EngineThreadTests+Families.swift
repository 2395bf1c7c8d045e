import CShimSys
import Glibc
import Synchronization
import TestSupport
import Testing

extension EngineThreadTests {
    @Test("vectors that threads write and read back in places of their own come back whole")
    func vectors() throws {
        let sample = try Sample("vectors", tag: 140)
        let fd = Face.open(sample.path, O_RDWR)
        defer { Face.close(fd) }
        try expectNothingWrong { wrong in
            try inThreads(4) { number in
                withBlock { first in
                    withBlock { second in
                        let vector = [first, second].map { iovec(iov_base: $0.baseAddress, iov_len: block) }
                        for round in 0..<500 {
                            // Neighbours share stripes, never bytes.
                            let offset = (number + 4 * (round % 16)) * 2 * block
                            let byte = UInt8(truncatingIfNeeded: round + number * 64)
                            for buffer in [first, second] { buffer.fill(byte) }
                            wrong.check(Face.pwritev(fd, vector, at: offset) == 2 * block)
                            for buffer in [first, second] { buffer.fill(0) }
                            wrong.check(Face.preadv(fd, vector, at: offset) == 2 * block)
                            wrong.check(first.uniform(block) == byte && second.uniform(block) == byte)
                            wrong.check(round % 16 != 0 || Face.fsync(fd) == 0)
                        }
                    }
                }
            }
        }
    }

    @Test("blocks that threads append are all there, whole, while others read the file as far as it goes")
    func appends() throws {
        let sample = try Sample("appends", tag: 160, blocks: 16)
        let appending = Face.open(sample.path, O_WRONLY | O_APPEND)
        let following = Face.open(sample.path, O_RDONLY)
        defer {
            Face.close(appending)
            Face.close(following)
        }
        let wrong = Wrong()
        try inThreads(4) { number, _, buffer, address in
            for _ in 0..<400 {
                if number < 2 {
                    memset(address, Int32(200 + number), block)
                    wrong.check(Face.write(appending, address, block) == block)
                } else {
                    let count = Face.read(following, address, block)
                    wrong.check(count == 0 || (count == block && buffer.uniform(block) != nil))
                }
            }
        }
        #expect(wrong.times == 0)
        withBlock { buffer in
            var blocks = [0, 0]
            for at in 16..<16 + 800 {
                #expect(pread(following, buffer.baseAddress, block, off_t(at * block)) == block)
                guard let byte = buffer.uniform(block), byte == 200 || byte == 201 else { continue }
                blocks[Int(byte) - 200] += 1
            }
            #expect(blocks == [400, 400])
        }
    }

    @Test("threads that come and go leave their places to others, and their counts stay")
    func comingAndGoing() throws {
        let sample = try Sample("coming", tag: 180)
        let fd = Face.open(sample.path, O_RDONLY)
        defer { Face.close(fd) }
        let wrong = Wrong()
        let served = try servedCalls {
            for _ in 0..<60 {
                try inThreads(8) { number, _, buffer, address in
                    for at in 0..<10 {
                        wrong.check(Face.pread(fd, address, block, at: (at + number) * block) == block)
                        wrong.check(buffer.uniform(block) == sample.byte(at + number))
                    }
                }
            }
        }
        #expect(wrong.times == 0)
        // The first call of all is the one that looks what the number is.
        #expect(served >= 60 * 8 * 10 - 8)
    }

    @Test("files are met for the first time while others are resized, by descriptor and by path")
    func metWhileResized() throws {
        let sample = try Sample("known", tag: 200)
        let known = Face.open(sample.path, O_RDWR)
        defer { Face.close(known) }
        let files = try (0..<64).map { try Sample("unknown\($0)", tag: UInt8($0), blocks: 4) }
        let wrong = Wrong()
        try inThreads(4) { number, _, buffer, address in
            for round in 0..<200 {
                if number < 2 {
                    let file = files[(round * 2 + number) % files.count]
                    let fd = Face.open(file.path, O_RDONLY)
                    wrong.check(Face.pread(fd, address, block, at: block) == block)
                    wrong.check(buffer.uniform(block) == file.byte(1))
                    // Some stay open for a while, so that slots are new ones.
                    if round % 4 == 0 { usleep(500) }
                    Face.close(fd)
                } else if round % 2 == 0 {
                    engineResized(fd: known)
                } else {
                    engineResizedPath(path: files[round % files.count].path)
                }
            }
        }
        #expect(wrong.times == 0)
    }
}
