import CShimSys
import Testing

@testable import PmemShim

@Suite("Geometry: heat regions, thresholds")
struct GeometryTests {
    private func mount(hasHugePages: Bool = false) -> Mount {
        Mount(
            identifier: 1, device: 1, tree: 1, backing: PS_BACKING_MEMORY, hasHugePages: hasHugePages,
            statisticsIndex: 2, pathLength: 0, synchronous: 0)
    }

    @Test func theNumbersComeBackAsTheyWentIn() {
        let geometry = Geometry(regionShift: 39, threshold: 64, sampleShift: 13, statistics: 3)
        #expect(geometry.sampleShift == 13)
        #expect(geometry.regionShift == 39)
        #expect(geometry.threshold == 64)
        #expect(geometry.statistics == 3)
    }

    @Test func sixtyFourRegionsCoverTheFile() {
        for shift in Int64(12)...44 {
            let size = (Int64(1) << shift) &- 1
            let geometry = Geometry.forFile(size: size, mount: mount(), eager: false)
            #expect((size - 1) >> geometry.regionShift < 64 || geometry.regionShift == 40)
        }
    }

    @Test(arguments: [8 << 10, 100 << 10, 2 << 20, 256 << 20, 1 << 34, 1 << 40])
    func aRegionIsServedAfterAQuarterAsManyCallsAsItHasPages(size: Int64) {
        let geometry = Geometry.forFile(size: size, mount: mount(), eager: false)
        let pages = min(size, 1 << geometry.regionShift) >> 12
        let calls = Int64(geometry.threshold) << Int64(geometry.sampleShift)
        #expect(calls <= max(pages / 4, 2))
        #expect(calls >= pages / 4 - pages / 128)
    }

    @Test func hugePagesAreServedSooner() {
        let geometry = Geometry.forFile(size: 256 << 20, mount: mount(hasHugePages: true), eager: false)
        #expect(Int64(geometry.threshold) << Int64(geometry.sampleShift) <= 8)
    }

    @Test(arguments: [100 << 10, 2 << 20, 256 << 20, 1 << 34])
    func onDAXOnlyWhatLiesInGroupsIsServedAtOnce(size: Int64) {
        let groups = Geometry.forFile(size: size, mount: mount(), eager: false, liesInGroups: true)
        #expect(groups.threshold == 0)
        let geometry = Geometry.forFile(size: size, mount: mount(), eager: false, liesInGroups: false)
        let pages = min(size, 1 << geometry.regionShift) >> 12
        let calls = Int64(geometry.threshold) << Int64(geometry.sampleShift)
        #expect(calls <= pages && calls >= pages - pages / 32)
    }

    @Test func eagerMeansHotAtOnce() {
        #expect(Geometry.forFile(size: 1 << 30, mount: mount(), eager: true).threshold == 0)
    }
}
