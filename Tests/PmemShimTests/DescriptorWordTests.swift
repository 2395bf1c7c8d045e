import Testing

@testable import PmemShim

@Suite("The word of a descriptor number")
struct DescriptorWordTests {
    @Test func theInitialWordIsUnknown() {
        let word = DescriptorWord(0)
        #expect(!word.has(DescriptorWord.known))
        #expect(!word.has(DescriptorWord.ours))
    }

    @Test func whatIsLearntKeepsTheGenerationAndNamesTheInode() {
        let word = DescriptorWord(7 << 32).learnt(DescriptorWord.ours | DescriptorWord.reads, inode: 16_383)
        #expect(word.bits >> 32 == 7)
        #expect(word.inode == 16_383)
        #expect(word.has(DescriptorWord.known | DescriptorWord.ours | DescriptorWord.reads))
        #expect(!word.has(DescriptorWord.writes))
    }

    @Test func evictionForgetsEverythingButRaisesTheGeneration() {
        let word = DescriptorWord(7 << 32).learnt(DescriptorWord.ours, inode: 3).evicted
        #expect(word.bits == 8 << 32)
    }

    @Test func theGenerationWrapsAround() {
        #expect(DescriptorWord(UInt64(UInt32.max) << 32).evicted.bits == 0)
    }
}
