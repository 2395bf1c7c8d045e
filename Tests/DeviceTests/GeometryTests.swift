import CShimSys
import PmemDeviceFormat
import PmemShim
import Testing

@Suite("Geometry of a device")
struct DeviceGeometryTests {
    private static let sizes: [UInt64] = {
        // 100 sizes from 4 MiB to 16 TiB, evenly on the scale of powers, each a little off.
        (0..<100).map { step in
            var bits = 22.0
            bits += Double(step) * 22 / 99
            var size = UInt64(1) << UInt64(bits)
            size += UInt64(Double(size) * (bits - bits.rounded(.down)))
            return step % 3 == 0 ? size : size + UInt64(step) * 4_099
        }
    }()

    @Test("the data area has 98.4 % of the device minus 4 MiB, on 2 MiB", arguments: DeviceGeometry.pageSizes)
    func capacity(pageSize: UInt32) {
        for size in Self.sizes + (0..<4_000).map({ (6 << 20) + $0 * 1_999_993 }) {
            guard let geometry = DeviceGeometry(deviceSize: size, pageSize: pageSize) else {
                #expect(size < DeviceGeometry.smallestDevice)
                continue
            }
            let least = size / 1_000 * 984
            let rounded = least < 4 << 20 ? 0 : (least - (4 << 20)) / (2 << 20) * (2 << 20)
            #expect(geometry.dataSize >= max(rounded, 2 << 20), "\(size)")
            #expect(geometry.dataSize % (2 << 20) == 0)
            #expect(geometry.dataOffset % (2 << 20) == 0)
        }
    }

    @Test(
        "superblocks, arrays and data lie behind one another and within the device",
        arguments: DeviceGeometry.pageSizes)
    func layout(pageSize: UInt32) throws {
        for size in Self.sizes + [DeviceGeometry.largestDevice] where size >= DeviceGeometry.smallestDevice {
            let geometry = try #require(DeviceGeometry(deviceSize: size, pageSize: pageSize))
            #expect(geometry.arrayOffset == 2 << 20)
            #expect(geometry.arrayOffset + geometry.arraySize == geometry.dataOffset)
            #expect(geometry.dataOffset + geometry.dataSize <= size)
            #expect(geometry.sectionCount >= 1)
            // Every page has its descriptor, and no section is without a page.
            #expect(geometry.pageCount * 64 <= geometry.arraySize)
            #expect(geometry.pageCount > (geometry.sectionCount - 1) * 32_768)
            #expect(geometry.pages(inSection: geometry.sectionCount - 1) > 0)
            #expect(geometry.pages(inSection: geometry.sectionCount) == 0)
        }
    }

    @Test("no other layout of the same form would hold more data", arguments: DeviceGeometry.pageSizes)
    func nothingWasted(pageSize: UInt32) throws {
        for units in UInt64(3)..<3_000 {
            let geometry = try #require(DeviceGeometry(deviceSize: units << 21, pageSize: pageSize))
            let sectionUnits = UInt64(pageSize) * 32_768 / (2 << 20)
            let best = (1..<min(units, 60)).map { min(units - 1 - $0, $0 * sectionUnits) }.max()
            #expect(geometry.dataSize >> 21 == best)
        }
    }

    @Test("sizes that no device can have, and other page sizes, are refused")
    func refused() {
        #expect(DeviceGeometry(deviceSize: (6 << 20) - 1, pageSize: 4_096) == nil)
        #expect(DeviceGeometry(deviceSize: 0, pageSize: 4_096) == nil)
        #expect(DeviceGeometry(deviceSize: .max, pageSize: 4_096) == nil)
        for pageSize in [0, 1, 512, 2_048, 4_095, 8_192, 32_768, 65_537, 1 << 20, .max] as [UInt32] {
            #expect(DeviceGeometry(deviceSize: 1 << 30, pageSize: pageSize) == nil)
        }
    }

    @Test("a partial last section ends where the device does")
    func partialLastSection() throws {
        // One section of 128 MiB with its array, and 3 units more: array and 4 MiB of data.
        let geometry = try #require(DeviceGeometry(deviceSize: (2 + 130 + 6) << 20, pageSize: 4_096))
        #expect(geometry.sectionCount == 2)
        #expect(geometry.dataSize == 132 << 20)
        #expect(geometry.pages(inSection: 0) == 32_768)
        #expect(geometry.pages(inSection: 1) == 1_024)
        // One unit more than a section needs would hold an array of nothing.
        let tight = try #require(DeviceGeometry(deviceSize: (2 + 130 + 2) << 20, pageSize: 4_096))
        #expect(tight.sectionCount == 1)
        #expect(tight.dataSize == 128 << 20)
    }
}
