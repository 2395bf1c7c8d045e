import CShimSys
import Synchronization
import Testing

@testable import PmemShim

/// An inode slot in zeroed memory, as in the arena.
private func withInode(_ body: (UnsafeMutablePointer<Inode>) -> Void) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: 256)
    body(memory.assumingMemoryBound(to: Inode.self))
    memory.deallocate()
}

private func mapped(_ inode: UnsafeMutablePointer<Inode>, size: Int64, length: Int64) {
    inode.pointee.base.store(1 << 21, ordering: .relaxed)
    inode.pointee.probeBase.store(1 << 21, ordering: .relaxed)
    inode.pointee.length.store(length, ordering: .relaxed)
    inode.pointee.size.store(size, ordering: .relaxed)
    let geometry = Geometry(regionShift: 21, threshold: 0, sampleShift: 1, statistics: 0)
    inode.setGeometry(geometry)
    inode.set(InodeFlag.writable)
    inode.updateLimits()
}

private func isResting(_ inode: UnsafeMutablePointer<Inode>) -> Bool { inode.pointee.isResting }
private func restsOf(_ inode: UnsafeMutablePointer<Inode>) -> Int64 { inode.pointee.rests }

@Suite("What of a file may be served", .serialized)
struct InodeTests {
    @Test func writesThatDidNotPayAreLeftToTheKernelForTwiceAsLong() {
        #expect(Inode.rest(1) == 1_000_000_000)
        #expect(Inode.rest(Inode.mostRests) == 64_000_000_000)
        withInode { inode in
            #expect(!isResting(inode))
            for rests in [1, 2, 3, 4, 5, 6, 7, 7] as [Int64] {
                inode.pointee.beginRest(ps_sys_coarse_now())
                #expect(restsOf(inode) == rests)
                #expect(isResting(inode))
            }
            // Begun a minute and more ago, or in times to come.
            inode.pointee.beginRest(ps_sys_coarse_now() &- Inode.rest(Inode.mostRests))
            #expect(!isResting(inode))
            inode.pointee.beginRest(ps_sys_coarse_now() &+ 10_000_000_000)
            #expect(!isResting(inode))
            inode.pointee.forgetRests()
            #expect(restsOf(inode) == 0)
            inode.pointee.beginRest(ps_sys_coarse_now())
            #expect(restsOf(inode) == 1)
        }
    }

    @Test func whatIsUsedByAddressLiesWhereTheArithmeticTakesIt() {
        withInode { inode in
            let start = UnsafeMutableRawPointer(inode)
            let heat = withUnsafeMutablePointer(to: &inode.pointee.heat) { UnsafeMutableRawPointer($0) - start }
            #expect(heat == InodeLayout.heat)
            // Words without a copy of their own: found by what a store to them changes.
            inode.pointee.length.store(0x1234, ordering: .relaxed)
            inode.pointee.probeBase.store(0x5678, ordering: .relaxed)
            #expect(start.load(fromByteOffset: InodeLayout.length, as: UInt64.self) == 0x1234)
            #expect(start.load(fromByteOffset: InodeLayout.probeBase, as: UInt64.self) == 0x5678)
            #expect(MemoryLayout<Inode>.stride == 256)
        }
    }

    @Test func thePageTheFileEndsInIsTheKernels() {
        withInode { inode in
            for (size, limit) in [(0, 0), (1, 0), (4_096, 0), (4_097, 4_096), (8_192, 4_096), (12_289, 12_288)] {
                mapped(inode, size: Int64(size), length: 1 << 30)
                #expect(inode.pointee.readLimit.load(ordering: .relaxed) == Int64(limit), "size \(size)")
            }
        }
    }

    @Test func nothingBehindThePageForProbesIsServedNorAnythingOnceTheFileIsShorter() {
        withInode { inode in
            mapped(inode, size: 40_961, length: 1 << 30)
            inode.pointee.probeBase.store(1 << 31, ordering: .relaxed)
            inode.pointee.readableProbe = 20_480
            for (size, limit) in [(40_961, 20_480), (20_481, 20_480), (20_480, 0), (30_000, 20_480)] {
                inode.pointee.size.store(Int64(size), ordering: .relaxed)
                inode.updateLimits()
                #expect(inode.pointee.readLimit.load(ordering: .relaxed) == Int64(limit), "size \(size)")
            }
        }
    }

    @Test func thePageForProbesIsToMoveForARangeThatCouldBeProvedElsewhere() {
        withInode { inode in
            mapped(inode, size: 40_961, length: 1 << 30)
            #expect(!inode.isProbeElsewhere(40_960))
            inode.pointee.probeBase.store(1 << 31, ordering: .relaxed)
            inode.pointee.readableProbe = 20_480
            #expect(!inode.isProbeElsewhere(20_480))
            #expect(inode.isProbeElsewhere(20_481))
            #expect(inode.isProbeElsewhere(40_960))
            #expect(!inode.isProbeElsewhere(40_961))
            inode.pointee.size.store(16_384, ordering: .relaxed)
            #expect(inode.isProbeElsewhere(4_096))
            inode.distrust()
            #expect(inode.pointee.probePage == 0 && inode.pointee.readableProbe == 20_480)
        }
    }

    @Test func nothingBeyondTheWindowIsServed() {
        withInode { inode in
            mapped(inode, size: 1 << 30, length: 1 << 21)
            #expect(inode.pointee.readLimit.load(ordering: .relaxed) < 1 << 21)
        }
    }

    @Test func withoutAWindowNothingIsServedWhateverTheSize() {
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            inode.pointee.base.store(0, ordering: .relaxed)
            inode.raiseSize(to: 1 << 21)
            #expect(inode.pointee.readLimit.load(ordering: .relaxed) == 0)
            #expect(inode.pointee.writeLimit.load(ordering: .relaxed) == 0)
        }
    }

    @Test(arguments: [InodeFlag.sparse, InodeFlag.unverified])
    func aFileWithHolesOrPerhapsWithHolesIsTheKernels(flag: UInt32) {
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            #expect(inode.pointee.readLimit.load(ordering: .relaxed) > 0)
            inode.set(flag)
            inode.updateLimits()
            #expect(inode.pointee.readLimit.load(ordering: .relaxed) == 0)
            #expect(inode.pointee.writeLimit.load(ordering: .relaxed) == 0)
        }
    }

    @Test func aFileWithHolesIsServedBeforeTheLastPageThatIsKnownToBeThere() {
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            inode.distrust()
            // A page beyond the window proves nothing: none can be loaded there.
            for (top, limit) in [(0, 0), (40_960, 40_960), (1_044_480, 1_044_480), (1 << 22, 0)] {
                inode.pointee.top.store(Int64(top), ordering: .relaxed)
                inode.updateLimits()
                #expect(inode.pointee.readLimit.load(ordering: .relaxed) == Int64(limit), "top \(top)")
            }
        }
    }

    @Test func noRegionOfAFileWithHolesGetsHotBeforeItIsKnownToBeWhole() {
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            let eager = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
            #expect(inode.heat(0, eager) >= eager.threshold)
            inode.distrust()
            let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
            #expect(inode.heat(0, geometry) < geometry.threshold)
            inode.regionIsWhole(0, geometry)
            #expect(inode.heat(4_096, geometry) >= geometry.threshold)
            inode.distrust()
            #expect(inode.heat(4_096, geometry) < geometry.threshold)
        }
    }

    @Test func onceMostCallsAreInVainOneOf64IsLookedAt() {
        withInode { inode in
            for _ in 0..<63 { inode.noteVain() }
            #expect(!inode.isMostlyVain)
            for _ in 0..<1_000 {
                inode.noteVain()
                #expect(inode.isMostlyVain)
            }
            #expect((0..<6_400).count { _ in !inode.isVain() } == 100)
        }
    }

    @Test func whatIsFoundIsRememberedOnceCallsHaveLostWhatThatCosts() {
        withInode { inode in
            for _ in 0..<1_000 { inode.noteVain() }
            for _ in 0..<256 { _ = inode.isVain() }
            #expect(!inode.hasLostPageArray)
            _ = inode.isVain()
            #expect(inode.hasLostPageArray)
        }
    }

    @Test func whatIsFoundMakesAFileWorthALookAgain() {
        withInode { inode in
            for _ in 0..<1_000 { inode.noteVain() }
            for _ in 0..<32 { inode.noteWorth() }
            #expect(inode.isMostlyVain)
            inode.noteWorth()
            #expect(!inode.isMostlyVain)
            for _ in 0..<1_000 { inode.noteVain() }
            inode.noteFound()
            #expect(!inode.isMostlyVain)
            #expect(inode.vainWait == 1)
            inode.forgetVain()
            #expect(inode.vainWait == 0)
        }
    }

    @Test func aReadOnlyWindowServesNoWrites() {
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            inode.clear(InodeFlag.writable)
            inode.updateLimits()
            #expect(inode.pointee.readLimit.load(ordering: .relaxed) > 0)
            #expect(inode.pointee.writeLimit.load(ordering: .relaxed) == 0)
        }
    }

    @Test func sizeHintsOnlyRise() {
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            inode.raiseSize(to: 4_096)
            #expect(inode.pointee.size.load(ordering: .relaxed) == 1 << 20)
        }
    }

    /// A mapped file of 1 MiB, and a thread that has called nothing yet.
    private func withThread(_ body: (UnsafeMutablePointer<Inode>, Geometry, CurrentThread) -> Void) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
        defer { memory.deallocate() }
        let thread = CurrentThread(record: memory.assumingMemoryBound(to: ThreadRecord.self))
        withInode { inode in
            mapped(inode, size: 1 << 20, length: 1 << 21)
            let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
            body(inode, geometry, thread)
        }
    }

    @Test func heatRisesWithEverySampledCallAndSaturates() {
        withThread { inode, geometry, thread in
            for _ in 0..<10 { inode.warm(0, 4_096, thread) }
            #expect(inode.heat(0, geometry) == 5)
            for _ in 0..<1_000 { inode.warm(0, 4_096, thread) }
            #expect(inode.heat(0, geometry) == 255)
        }
    }

    @Test func aFileStaysInTheCachesWhereItIsSmallOrMappedByTheProgram() {
        withInode { inode in
            inode.pointee.size.store(WriteLength.mostCached, ordering: .relaxed)
            #expect(WriteLength.staysCached(inode))
            inode.pointee.size.store(WriteLength.mostCached + 1, ordering: .relaxed)
            #expect(!WriteLength.staysCached(inode))
            inode.set(InodeFlag.mapped)
            #expect(WriteLength.staysCached(inode))
        }
    }

    @Test func aCallOfManyPagesWarmsAsMuchAsItSaves() {
        withThread { inode, geometry, thread in
            for _ in 0..<10 { inode.warm(0, 65_536, thread) }
            #expect(inode.heat(0, geometry) == 40)
            for _ in 0..<10 { inode.warm(0, 8_192, thread) }
            #expect(inode.heat(0, geometry) == 45)
            for _ in 0..<2 { inode.warm(0, 1 << 30, thread) }
            #expect(inode.heat(0, geometry) == 255)
        }
    }
}
