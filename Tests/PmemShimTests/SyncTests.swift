import CShimSys
import Synchronization
import Testing

@testable import PmemShim

private let tick: Int64 = 4_000_000

/// As one fstat would tell it; times are given in ticks.
private func seen(size: Int64 = 8_192, blocks: Int64 = 16, ctime: Int64 = 10) -> ps_sync_facts {
    ps_sync_facts(device: 1, inode: 2, size: size, blocks: blocks, ctime: ctime * tick)
}

/// What a sync left that began in `tick`.
private func synced(full: Bool = false, began: Int64 = 12) -> SyncFacts {
    SyncFacts(seen(), isFull: full, tick: began * tick)
}

private func withInode(_ body: (UnsafeMutablePointer<Inode>) -> Void) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: 256)
    body(memory.assumingMemoryBound(to: Inode.self))
    memory.deallocate()
}

@Suite("When a sync is left out")
struct SyncFactsTests {
    @Test func afterAKernelSyncWithNothingChangedThereIsNothingToDo() {
        #expect(synced().cover(seen(), wholly: false))
        #expect(synced(full: true).cover(seen(), wholly: true))
    }

    @Test(arguments: [seen(size: 8_193), seen(size: 4_096), seen(blocks: 24), seen(blocks: 8), seen(ctime: 11)])
    func aChangeBySomebodyElseNeedsTheKernel(_ now: ps_sync_facts) {
        #expect(!synced(full: true).cover(now, wholly: false))
        #expect(!synced(full: true).cover(now, wholly: true))
    }

    @Test func anFsyncIsNotLeftOutAfterAnFdatasync() {
        #expect(!synced(full: false).cover(seen(), wholly: true))
    }

    @Test func anFsyncIsNotLeftOutWhileTheTickOfTheLastChangeMayStillHideAnother() {
        #expect(!synced(full: true, began: 10).cover(seen(), wholly: true))
        #expect(synced(full: true, began: 11).cover(seen(), wholly: true))
    }

    @Test func aStampIsOursWhereBothLooksAndTheWriteWereInOneTick() {
        let before = synced(began: 20)
        // The kernel's stamp is that of the tick; since Linux 6.13 it may lie anywhere in it.
        for ctime in [20 * tick, 20 * tick + 5] {
            var after = seen(ctime: 20)
            after.ctime = ctime
            #expect(before.holdButForStamp(after, tick: 20 * tick, now: 20 * tick, isAlone: false))
        }
        #expect(before.holdButForStamp(seen(ctime: 20), tick: 20 * tick, now: 21 * tick, isAlone: false))
    }

    @Test func aStampOfALaterTickMayHideAnothersChange() {
        let before = synced(began: 20)
        for ctime in [21, 25] as [Int64] {
            let after = seen(ctime: ctime)
            #expect(!before.holdButForStamp(after, tick: 20 * tick, now: 25 * tick, isAlone: false))
            #expect(before.holdButForStamp(after, tick: 20 * tick, now: 25 * tick, isAlone: true))
        }
    }

    @Test(arguments: [seen(size: 8_193, ctime: 20), seen(blocks: 24, ctime: 20), seen(blocks: 8, ctime: 20)])
    func spaceAndSizeAreNotOurStamp(_ after: ps_sync_facts) {
        for isAlone in [false, true] {
            #expect(!synced().holdButForStamp(after, tick: 20 * tick, now: 20 * tick, isAlone: isAlone))
        }
    }
}

@Suite("What is remembered of a sync")
struct InodeSyncTests {
    @Test func nothingBeforeTheFirst() {
        withInode { #expect($0.synced() == nil) }
    }

    @Test func whatTheSyncLeft() {
        withInode { inode in
            inode.publish(synced(full: true), changes: 0)
            #expect(inode.synced() == synced(full: true))
        }
    }

    @Test func nothingOnceOurProcessHasChangedTheFileThroughTheKernel() {
        withInode { inode in
            inode.publish(synced(), changes: 0)
            inode.noteKernelChange()
            #expect(inode.synced() == nil)
        }
    }

    @Test func aChangeDuringTheSyncIsNotCoveredByIt() {
        withInode { inode in
            let before = inode.pointee.changes.load(ordering: .acquiring)
            inode.noteKernelChange()
            inode.publish(synced(), changes: before)
            #expect(inode.synced() == nil)
            inode.publish(synced(), changes: before + 1)
            #expect(inode.synced() != nil)
        }
    }

    @Test func aWriteThatWasMadeDurableAtOnceMovesTheTimeOnly() {
        withInode { inode in
            inode.publish(synced(full: true), changes: 0)
            let word = inode.pointee.synced.word.load(ordering: .acquiring)
            #expect(inode.publish(ctime: 20 * tick, since: word))
            let facts = inode.synced()
            #expect(facts?.cover(seen(ctime: 20), wholly: false) == true)
            #expect(facts?.cover(seen(ctime: 20), wholly: true) == false, "the times are not durable")
            #expect(!inode.publish(ctime: 30 * tick, since: word), "somebody else was faster")
        }
    }

    @Test func nothingInASlotThatIsUsedAgain() throws {
        try withLock { engine, held in
            let inode = engine.inode(3)
            inode.publish(synced(), changes: 0)
            inode.resetSync(held)
            #expect(inode.synced() == nil)
        }
    }
}

@Suite("Whether kernel syncs are worth their price")
struct SyncCostTests {
    @Test func fewBytesBetweenSyncsLeaveTheWritesToTheKernel() {
        var cost = SyncCost(bits: 0)
        var served: UInt64 = 0
        for _ in 0..<Int(SyncCost.patience) {
            #expect(!cost.isAloof)
            served += 4_096
            cost.count(served: served)
        }
        #expect(cost.isAloof)
    }

    @Test func manyBytesBetweenSyncsGoOnBeingServed() {
        var cost = SyncCost(bits: 0)
        for round in 1...100 as ClosedRange<UInt64> {
            cost.count(served: round * SyncCost.worth)
            #expect(!cost.isAloof)
        }
    }

    @Test func afterARestItIsTriedAgain() {
        var cost = SyncCost(bits: 0)
        for round in 1...SyncCost.patience { cost.count(served: round) }
        for _ in 0..<SyncCost.rest {
            #expect(cost.isAloof)
            cost.count(served: SyncCost.patience)
        }
        #expect(!cost.isAloof)
        #expect(SyncCost(bits: cost.bits).score == 0)
    }
}

@Suite("Stores to persistent memory")
struct DurableCopyTests {
    private func withPages(_ body: (UnsafeMutableRawPointer) -> Void) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 16_384, alignment: 4_096)
        memory.initializeMemory(as: UInt8.self, repeating: 0xee, count: 16_384)
        body(memory)
        memory.deallocate()
    }

    @Test(arguments: [1, 8, 63, 64, 65, 255, 256, 257, 319, 320, 511, 512, 513, 1_000, 4_095, 4_096, 4_097, 8_191])
    func everyByteIsThereAndNoneBesides(_ count: Int) {
        let source = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
        for at in [64, 65, 100, 127] {
            withPages { memory in
                #expect(source.withUnsafeBytes { ps_copy_durably(memory + at, $0.baseAddress, count) } == 0)
                let bytes = UnsafeRawBufferPointer(start: memory, count: 16_384)
                #expect(bytes[at..<at + count].elementsEqual(source))
                #expect(bytes[at - 1] == 0xee && bytes[at + count] == 0xee)
            }
        }
    }

    @Test func shortOnesAreStoredByOneInstructionWhereThereIsOne() {
        ps_copy_prepare()
        let source = (0..<64).map { UInt8($0 + 1) }
        for count in 1...64 {
            withPages { memory in
                let refused = source.withUnsafeBytes { ps_store_whole(memory + 61, $0.baseAddress, count) } != 0
                let bytes = UnsafeRawBufferPointer(start: memory, count: 256)
                #expect(refused == (ps_stores_whole(count) == 0), "\(count)")
                if ps_stores_whole(33) == 0, count > 32 || count % 4 != 0 { #expect(refused, "\(count)") }
                let stored = refused ? 0 : count
                #expect(bytes[61..<61 + stored].elementsEqual(source[0..<stored]))
                #expect(bytes[60] == 0xee && bytes[61 + stored] == 0xee)
            }
        }
    }
}
