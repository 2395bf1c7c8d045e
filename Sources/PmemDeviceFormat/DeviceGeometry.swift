import CShimSys

/// Where everything lies on a device of a given size: superblocks, page arrays, data. All of it follows from two
/// numbers, so that nothing read from a device need be believed.
///
/// All offsets and sizes are in bytes. The data area begins and ends on multiples of 2 MiB; it is at least 98.4 % of
/// the device minus 4 MiB, rounded down to 2 MiB.
package struct DeviceGeometry: Equatable, Sendable {
    /// Bytes of the device that are used; a remainder of less than 2 MiB stays unused.
    package let deviceSize: UInt64
    /// Bytes: 4,096, 16,384 or 65,536.
    package let pageSize: UInt32
    /// At least 1; the last section may be partial, in steps of 2 MiB.
    package let sectionCount: UInt64

    /// What a device must have to hold the superblocks, one section's array and 2 MiB of data.
    package static let smallestDevice: UInt64 = 6 << 20
    /// What a file offset can name.
    package static let largestDevice = UInt64(Int64.max)
    package static let pageSizes: [UInt32] = [4_096, 16_384, 65_536]

    /// - Returns: nothing for another page size, or a device below ``smallestDevice`` or above ``largestDevice``.
    package init?(deviceSize: UInt64, pageSize: UInt32) {
        guard pageSize == 4_096 || pageSize == 16_384 || pageSize == 65_536,
            deviceSize >= Self.smallestDevice, deviceSize <= Self.largestDevice
        else { return nil }
        self.deviceSize = deviceSize
        self.pageSize = pageSize
        // In units of 2 MiB: one for the superblocks, and one of array for every `sectionUnits` of data.
        let available = deviceSize / unit &- 1
        let full = available / (Self.sectionUnits(pageSize) &+ 1)
        let rest = available % (Self.sectionUnits(pageSize) &+ 1)
        // One unit alone would hold an array of nothing.
        sectionCount = full &+ (rest >= 2 ? 1 : 0)
    }

    package var dataOffset: UInt64 { unit &* (1 &+ sectionCount) }

    package var dataSize: UInt64 {
        let room = deviceSize / unit &- 1 &- sectionCount
        return unit &* min(room, sectionCount &* Self.sectionUnits(pageSize))
    }

    package var arrayOffset: UInt64 { UInt64(PS_DEVICE_ARRAY_OFFSET) }
    /// Of all sections together.
    package var arraySize: UInt64 { sectionCount &* UInt64(PS_DEVICE_ARRAY_SIZE) }

    package var pageCount: UInt64 { dataSize / UInt64(pageSize) }
    /// The last group of a device with large pages may be partial.
    package var groupCount: UInt64 { (pageCount &+ groupPages &- 1) / groupPages }
    /// Bytes of data of a whole group.
    package var groupSize: UInt64 { UInt64(pageSize) &* groupPages }

    /// Pages of one section; 0 for a section that is not there.
    package func pages(inSection section: UInt64) -> UInt64 {
        guard section < sectionCount else { return 0 }
        return min(pageCount &- section &* sectionPages, sectionPages)
    }

    /// 2 MiB units of data in a whole section.
    private static func sectionUnits(_ pageSize: UInt32) -> UInt64 { UInt64(pageSize) &* sectionPages / unit }
}

private let unit = UInt64(PS_DEVICE_ALIGNMENT)
private let sectionPages = UInt64(PS_DEVICE_SECTION_PAGES)
private let groupPages = UInt64(PS_DEVICE_GROUP_PAGES)
