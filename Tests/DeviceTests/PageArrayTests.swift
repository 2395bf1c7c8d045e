import CShimSys
import Testing

@testable import PmemShim

@Suite("Page array: lazy, three layers, whatever the memory holds")
struct PageArrayTests {
    /// Descriptors of two sections and a bit, filled with noise.
    private final class Memory {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 66_000 * 64, alignment: 64)

        init(seed: UInt64?) {
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            guard let seed else { return }
            scribble(seed)
        }

        deinit { bytes.deallocate() }

        func scribble(_ seed: UInt64) {
            var random = SplitMix(state: seed)
            for word in bytes.bindMemory(to: UInt64.self).indices {
                bytes.storeBytes(of: random.next(), toByteOffset: word * 8, as: UInt64.self)
            }
        }

        func array(tag: UInt32, pages: UInt64 = 66_000) throws -> PageArray {
            let base = try #require(bytes.baseAddress)
            return try #require(PageArray(base: base, byteCount: bytes.count, pageCount: pages, tag: tag))
        }
    }

    @Test("noise of other generations is the initial state")
    func noise() throws {
        let memory = Memory(seed: 1)
        let array = try memory.array(tag: 5)
        for page in stride(from: UInt64(0), to: 66_000, by: 7) {
            #expect(array.flags(of: page) == [])
            #expect(array.reads(of: page) == 0)
            #expect(array.owner(of: page) == nil)
        }
        #expect(!array.isSectionReady(of: 0))
        #expect(!array.isGroupReady(of: 40_000))
    }

    @Test("the first touch makes one section, one group and its pages ready, and changes no other byte")
    func firstTouch() throws {
        let memory = Memory(seed: 2)
        let before = Array(memory.bytes)
        let array = try memory.array(tag: 5)
        #expect(array.prepare(33_000) == [.section, .group])
        #expect(array.prepare(33_000) == [])
        #expect(array.prepare(33_001) == [])
        #expect(array.isSectionReady(of: 33_000))
        #expect(array.isGroupReady(of: 33_000))
        #expect(!array.isSectionReady(of: 0))
        #expect(!array.isGroupReady(of: 34_000))
        let group = 33_000 / 512 * 512
        let after = Array(memory.bytes)
        for offset in after.indices where after[offset] != before[offset] {
            let page = offset / 64
            let field = offset % 64
            let isPage = (group..<group + 512).contains(page) && field < 8
            let isGroup = page == group && (8..<16).contains(field)
            let isSection = page == 32_768 && (16..<24).contains(field)
            #expect(isPage || isGroup || isSection, "byte \(field) of page \(page)")
        }
        #expect(array.prepare(34_000) == .group)
    }

    @Test("what a process that was killed half way has left is finished by the next")
    func halfWay() throws {
        let memory = Memory(seed: 3)
        let array = try memory.array(tag: 9)
        // Section done, the group begun: some pages are in the new generation, one already used by a third.
        for page in UInt64(512)..<700 { array.change(array.word(page, .page)) { $0 | 1 } }
        array.change(array.word(600, .page)) { $0 | PageFlags.bad.rawValue }
        array.change(array.word(0, .section)) { $0 | 1 }
        #expect(array.prepare(900) == .group)
        #expect(array.flags(of: 600) == [.ready, .bad])
        for page in UInt64(512)..<1_024 where page != 600 { #expect(array.flags(of: page) == .ready) }
    }

    @Test("a page's word with bits that mean nothing has no flags, and is right again once flags are set")
    func meaninglessBits() throws {
        let memory = Memory(seed: 6)
        let array = try memory.array(tag: 9)
        array.insert([.allocated], of: 600)
        for bit in 4..<32 {
            array.change(array.word(600, .page)) { $0 | 1 << UInt32(bit) }
            #expect(array.flags(of: 600) == [])
            array.remove([.bad], of: 600)
            #expect(array.flags(of: 600) == [])
            array.insert([.allocated], of: 600)
            #expect(array.flags(of: 600) == [.ready, .allocated])
        }
    }

    @Test("flags, owner and counts are kept until the generation is raised, and then are gone")
    func values() throws {
        let memory = Memory(seed: 4)
        let array = try memory.array(tag: 5)
        array.insert([.allocated, .bad], of: 100)
        array.setOwner(.init(inode: 77, index: 3), of: 100)
        array.addReads(2, to: 100)
        array.addReads(3, to: 100)
        array.addWrites(.max, to: 100)
        array.addWrites(1, to: 100)
        #expect(array.flags(of: 100) == [.ready, .allocated, .bad, .owned])
        #expect(array.owner(of: 100) == .init(inode: 77, index: 3))
        #expect(array.reads(of: 100) == 5)
        #expect(array.writes(of: 100) == .max)
        array.remove([.bad, .ready], of: 100)
        #expect(array.flags(of: 100) == [.ready, .allocated, .owned])
        array.remove(.bad, of: 5_000)
        #expect(array.flags(of: 5_000) == [])

        let next = try memory.array(tag: 6)
        #expect(next.flags(of: 100) == [])
        #expect(next.owner(of: 100) == nil)
        #expect(next.reads(of: 100) == 0)
        #expect(next.prepare(100) == [.section, .group])
        #expect(next.flags(of: 100) == .ready)
    }

    @Test("pages beyond the array are not there")
    func bounds() throws {
        let memory = Memory(seed: nil)
        let array = try memory.array(tag: 1, pages: 700)
        for page in [700, 66_000, 1 << 32, UInt64.max, 1 << 63] as [UInt64] {
            #expect(array.prepare(page) == nil)
            array.insert(.bad, of: page)
            array.addReads(1, to: page)
            #expect(array.flags(of: page) == [])
            #expect(array.reads(of: page) == 0)
        }
        // The last group is partial: what lies behind it is not touched.
        #expect(array.prepare(699) == [.section, .group])
        #expect(memory.bytes[(700 * 64)...].allSatisfy { $0 == 0 })
        let base = try #require(memory.bytes.baseAddress)
        #expect(PageArray(base: base, byteCount: 640, pageCount: .max, tag: 1)?.pageCount == 10)
        #expect(PageArray(base: base + 4, byteCount: 640, pageCount: 10, tag: 1) == nil)
        #expect(PageArray(base: base, byteCount: 640, pageCount: 10, tag: 0) == nil)
    }

    @Test("what is forgotten of a range is that its pages are allocated, and no more", arguments: [1, 2, 3, 4])
    func forgetting(seed: UInt64) throws {
        let memory = Memory(seed: seed)
        let array = try memory.array(tag: 11)
        var random = SplitMix(state: seed)
        var allocated: Set<UInt64> = []
        for round in 0..<60 {
            for _ in 0..<30 {
                let page = random.next() % 66_000
                array.insert(round % 3 == 0 ? [.allocated, .bad] : .allocated, of: page)
                allocated.insert(page)
            }
            let first = random.next() % 66_000
            // Now and then to the end of a block, a group, the section, the array.
            let ends = [first + random.next() % 2_000, (first | 31) + 1, (first | 511) + 1, (first | 32_767) + 1, .max]
            let end = ends[Int(random.next() % 5)]
            array.forgetAllocated(from: first, to: end)
            let wrong = allocated.filter { ($0 < first || $0 >= end) != array.flags(of: $0).contains(.allocated) }
            #expect(wrong == [], "round \(round): \(first) to \(end)")
            allocated = allocated.filter { $0 < first || $0 >= end }
        }
        array.insert([.allocated, .bad], of: 40_000)
        array.forgetAllocated(from: 0, to: .max)
        #expect(array.flags(of: 40_000) == [.ready, .bad])
    }

    @Test("memory that is scribbled over meanwhile costs hints, and nothing else", arguments: [1, 2, 3])
    func scribbled(seed: UInt64) throws {
        let memory = Memory(seed: seed)
        let array = try memory.array(tag: 3)
        var random = SplitMix(state: seed)
        for round in 0..<20 {
            for _ in 0..<200 {
                let page = random.next() % 67_000
                array.prepare(page)
                array.insert(PageFlags(rawValue: UInt32(random.next() % 16)), of: page)
                array.setOwner(.init(inode: random.next(), index: random.next()), of: page)
                array.addReads(UInt32(truncatingIfNeeded: random.next()), to: page)
                _ = array.owner(of: page)
            }
            memory.scribble(seed &* 1_000 &+ UInt64(round))
            // Also with the generation that is current, and all bits set.
            for _ in 0..<100 {
                let offset = Int(random.next() % UInt64(memory.bytes.count / 8)) * 8
                memory.bytes.storeBytes(of: 3 << 32 | 0xffff_ffff, toByteOffset: offset, as: UInt64.self)
            }
        }
        memory.scribble(99)
        #expect(array.prepare(100) == [.section, .group])
        #expect(array.flags(of: 100) == .ready)
    }
}
