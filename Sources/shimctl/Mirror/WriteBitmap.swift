import CMirror
import Glibc
import PmemShim
import SystemPackage

/// Which parts of a block device are written to, by a program of ours that the kernel runs at each write (event
/// block_bio_queue), and that sets a bit for each page. Costs the programs that write a quarter of what the tracer's
/// records do (docs/decisions.md). What the kernel has not run it for is told. It ends with this process.
final class WriteBitmap: WriteTrace {
    private let map: Int32
    private let program: Int32
    private let link: Int32
    private let words: UnsafeMutablePointer<UInt64>
    private let wordCount: Int
    /// Bits of pages are followed by bits of blocks of `blockPages` pages, for large writes.
    private let pageWords: Int
    private let pageCount: UInt64
    /// How often the kernel had not run it when that was asked last.
    private var missed: UInt64 = 0
    private var taken: [UInt64]
    private var history = RecentWrites()

    /// Words of 64 bits in an element of the map, bytes of one.
    static let elementWords = 512
    private static let elementSize = elementWords * 8
    static let blockPages: UInt64 = 512

    /// - Parameters:
    ///   - pageSize: bytes, a power of two of at least 512; pages are told.
    ///   - pageCount: pages of the device.
    /// - Returns: nothing where the kernel has no such thing (before Linux 5.12, or built without), or this process may
    ///   not use it.
    init?(_ device: DeviceNumber, pageSize: UInt64, pageCount: UInt64) {
        let pageElements = Self.elements(pageCount)
        let elements = pageElements + Self.elements(pageCount / Self.blockPages + 1)
        guard let place = WritePlace(KernelTypes()), let count = UInt32(exactly: elements),
            let base = Int32(exactly: pageElements)
        else { return nil }
        let size = elements * Self.elementSize
        let map = cmirror_bpf_array(UInt32(Self.elementSize), count)
        guard map >= 0 else { return nil }
        let room = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0)
        let instructions = place.program(
            device: device, pageShift: Int32(pageSize.trailingZeroBitCount), map: map, firstBlockElement: base
        )
        .instructions
        let program = cmirror_bpf_load(instructions, UInt32(instructions.count), place.event)
        let link = program >= 0 ? cmirror_bpf_attach(program) : -1
        guard let room, room != MAP_FAILED, link >= 0, cmirror_bpf_missed(program, &missed) == 0 else {
            if let room, room != MAP_FAILED { munmap(room, size) }
            for descriptor in [link, program, map] where descriptor >= 0 { Glibc.close(descriptor) }
            return nil
        }
        self.map = map
        self.program = program
        self.link = link
        self.pageCount = pageCount
        pageWords = pageElements * Self.elementWords
        wordCount = size / 8
        words = room.bindMemory(to: UInt64.self, capacity: wordCount)
        taken = [UInt64](repeating: 0, count: Self.elementWords)
    }

    deinit {
        munmap(words, wordCount * 8)
        for descriptor in [link, program, map] { Glibc.close(descriptor) }
    }

    private static func elements(_ bits: UInt64) -> Int { Int(bits / UInt64(elementWords * 64)) + 1 }

    func take() -> PageRanges? {
        var ranges: [Range<UInt64>] = []
        for start in stride(from: 0, to: wordCount, by: taken.count) {
            cmirror_take_words(words + start, taken.count, &taken)
            let isOfPages = start < pageWords
            let (first, unit) = (isOfPages ? start : start - pageWords, isOfPages ? 1 : Self.blockPages)
            for (index, word) in taken.enumerated() where word != 0 {
                Self.forEachRun(word) { run in
                    let base = UInt64(first + index) * 64
                    let range =
                        min((base + run.lowerBound) * unit, pageCount)..<min((base + run.upperBound) * unit, pageCount)
                    if !range.isEmpty { ranges.append(range) }
                }
            }
        }
        let pages = PageRanges(ranges)
        history.add(pages)
        var missed: UInt64 = 0
        let isKnown = cmirror_bpf_missed(program, &missed) == 0 && missed == self.missed
        self.missed = missed
        return isKnown ? pages : nil
    }

    /// Bits that follow one another.
    private static func forEachRun(_ word: UInt64, _ body: (Range<UInt64>) -> Void) {
        var start = 0
        while start < 64 {
            let rest = word >> UInt64(start)
            guard rest != 0 else { return }
            start += rest.trailingZeroBitCount
            let count = (~(word >> UInt64(start))).trailingZeroBitCount
            body(UInt64(start)..<UInt64(start + count))
            start += count
        }
    }

    var recent: PageRanges { history.pages }

    /// Its room is always enough.
    func drain() {}
}
