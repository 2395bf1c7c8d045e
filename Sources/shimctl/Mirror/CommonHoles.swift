import CBlock
import Glibc
import SystemPackage

/// Tells where all of some images have holes: nothing there need be read. Of block devices it tells nothing.
final class CommonHoles {
    private let pageSize: UInt64
    private var sides: [Side]

    /// - Parameter pageSize: bytes.
    /// - Returns: nothing where one of them is a block device.
    init?(_ files: [DeviceFile], dataOffset: UInt64, pageSize: UInt64) {
        guard files.allSatisfy({ !$0.isBlockDevice }) else { return nil }
        self.pageSize = pageSize
        sides = files.map { Side(descriptor: $0.descriptor.rawValue, base: dataOffset) }
    }

    func isHole(_ pages: Range<UInt64>) -> Bool {
        let (start, end) = (pages.lowerBound * pageSize, pages.upperBound * pageSize)
        return sides.indices.allSatisfy { sides[$0].isHole(start, end) }
    }

    private struct Side {
        let descriptor: Int32
        let base: UInt64
        /// There is no data from the first up to the second byte.
        var known: Range<UInt64> = 0..<0

        mutating func isHole(_ start: UInt64, _ end: UInt64) -> Bool {
            if known.contains(start), end <= known.upperBound { return true }
            let found = lseek(descriptor, off_t(base + start), Int32(CBLOCK_SEEK_DATA))
            if found < 0, errno != ENXIO { return false }
            let next = found < 0 ? UInt64(Int64.max) : UInt64(found).subtractingReportingOverflow(base).partialValue
            guard next > start else { return false }
            known = start..<next
            return end <= next
        }
    }
}
