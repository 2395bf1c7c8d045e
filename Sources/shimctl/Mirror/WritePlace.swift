/// Where the kernel keeps what is written where (struct bio), and which event tells of it.
struct WritePlace {
    let event: UInt32
    private let device, deviceNumber, operation, sector, size: Int16

    init?(_ types: KernelTypes?) {
        guard let types, let event = types.event("block_bio_queue", of: "bio"),
            let device = types.offset(of: "bi_bdev", in: "bio"),
            let number = types.offset(of: "bd_dev", in: "block_device"),
            let operation = types.offset(of: "bi_opf", in: "bio"),
            let part = types.offset(of: "bi_iter", in: "bio"),
            let sector = types.offset(of: "bi_sector", in: "bvec_iter"),
            let size = types.offset(of: "bi_size", in: "bvec_iter")
        else { return nil }
        self.event = event
        self.device = device
        deviceNumber = number
        self.operation = operation
        self.sector = part + sector
        self.size = part + size
    }

    /// Sets the bits of all pages that a write touches; of one with more than 4,096 pages, the bits of all blocks.
    ///
    /// 65 words are as many as 4,096 pages may touch; the 4 GiB that a request may have at most, with the smallest
    /// pages of 4 KiB, touch 33 words of blocks. The kernel loads no program of which it cannot see that it ends:
    /// hence the count.
    func program(device number: DeviceNumber, pageShift: Int32, map: Int32, firstBlockElement: Int32) -> KernelProgram {
        let (first, last, word, count) = (UInt8(6), UInt8(7), UInt8(8), UInt8(9))
        let (key, base) = (Int16(-4), Int16(-8))
        var code = KernelProgram()
        code.load(.double, 6, from: 1, 0)
        code.load(.word, 7, from: 6, operation)
        code.set(.and, 7, 0xff)
        code.jump(to: "out", if: 7, .equal, 0)  // a read
        code.load(.word, 8, from: 6, size)
        code.jump(to: "out", if: 8, .equal, 0)  // a flush
        code.load(.double, 2, from: 6, device)
        code.load(.word, 3, from: 2, deviceNumber)
        let raw = Int32(truncatingIfNeeded: number.major << 20 | number.minor)
        code.jump(to: "out", if: 3, .different, raw, isShort: true)
        code.load(.double, first, from: 6, sector)
        code.set(.shiftLeft, first, 9)
        code.set(.move, last, register: first)
        code.set(.add, last, register: 8)
        code.set(.subtract, last, 1)
        code.set(.shiftRight, first, pageShift)
        code.set(.shiftRight, last, pageShift)
        code.set(.move, 2, 0)
        code.set(.move, 1, register: last)
        code.set(.subtract, 1, register: first)
        code.set(.move, 3, 4_096)
        code.jump(to: "words", if: 3, .greater, register: 1)
        code.set(.shiftRight, first, Int32(WriteBitmap.blockPages.trailingZeroBitCount))
        code.set(.shiftRight, last, Int32(WriteBitmap.blockPages.trailingZeroBitCount))
        code.set(.move, 2, firstBlockElement)
        code.label("words")
        code.store(2, stack: base)
        code.set(.move, word, register: first)
        code.set(.shiftRight, word, 6)
        code.set(.move, count, 0)
        code.label("next")
        code.set(.move, 1, register: last)
        code.set(.shiftRight, 1, 6)
        code.jump(to: "out", if: word, .greater, register: 1)
        code.jump(to: "out", if: count, .greater, 66)
        code.set(.move, 1, register: word)
        code.set(.shiftRight, 1, Int32(WriteBitmap.elementWords.trailingZeroBitCount))
        code.load(.word, 2, from: 10, base)
        code.set(.add, 1, register: 2)
        code.store(1, stack: key)
        code.loadMap(1, descriptor: map)
        code.set(.move, 2, register: 10)
        code.set(.add, 2, Int32(key))
        code.callLookup()
        code.jump(to: "out", if: 0, .equal, 0)  // behind the end of the device
        code.set(.move, 1, register: word)
        code.set(.and, 1, Int32(WriteBitmap.elementWords - 1))
        code.set(.shiftLeft, 1, 3)
        code.set(.add, 0, register: 1)
        // Of the first word and of the last one, not all bits.
        code.set(.move, 2, -1)
        code.set(.move, 3, register: first)
        code.set(.shiftRight, 3, 6)
        code.jump(to: "not first", if: word, .different, register: 3)
        code.set(.move, 3, register: first)
        code.set(.and, 3, 63)
        code.set(.shiftLeft, 2, register: 3)
        code.label("not first")
        code.set(.move, 3, register: last)
        code.set(.shiftRight, 3, 6)
        code.jump(to: "not last", if: word, .different, register: 3)
        code.set(.move, 3, register: last)
        code.set(.and, 3, 63)
        code.set(.move, 4, 63)
        code.set(.subtract, 4, register: 3)
        code.set(.move, 5, -1)
        code.set(.shiftRight, 5, register: 4)
        code.set(.and, 2, register: 5)
        code.label("not last")
        code.setBits(at: 0, of: 2)
        code.set(.add, word, 1)
        code.set(.add, count, 1)
        code.jump(to: "next")
        code.label("out")
        code.set(.move, 0, 0)
        code.exit()
        return code
    }
}
