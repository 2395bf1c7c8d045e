import CShimSys
import Foundation
import PmemShim
import SystemPackage

/// Goes through the groups of page arrays that are ready, wherever the arrays are: read, never mapped (a mapping could
/// fault), and only as far as bits above say that there is something.
struct GroupScan {
    let descriptor: FileDescriptor
    /// Where the arrays begin in what `descriptor` reads.
    let start: UInt64
    let pageCount: UInt64
    /// Under which their words count.
    let tag: UInt32

    /// - Parameter body: told the number of the first page of a group, and the group's descriptors, of which page 0 is that
    ///   one; they are valid until it returns.
    func forEachReadyGroup(_ body: (UInt64, PageArray) throws -> Void) throws {
        var section: UInt64 = 0
        while section < pageCount {
            let end = min(section + UInt64(PS_DEVICE_SECTION_PAGES), pageCount)
            if let head = try pages(from: section, count: 1), head.isSectionReady(of: 0) {
                for group in stride(from: section, to: end, by: Int(PS_DEVICE_GROUP_PAGES)) {
                    guard let first = try pages(from: group, count: 1), first.isGroupReady(of: 0),
                        let whole = try pages(from: group, count: min(UInt64(PS_DEVICE_GROUP_PAGES), end - group))
                    else { continue }
                    try body(group, whole)
                }
            }
            section = end
        }
    }

    private func pages(from first: UInt64, count: UInt64) throws -> PageArray? {
        let bytes = Int(count) * Int(PS_DEVICE_DESCRIPTOR)
        let target = UnsafeMutableRawBufferPointer(rebasing: Self.room[..<bytes])
        target.initializeMemory(as: UInt8.self, repeating: 0)
        var filled = 0
        let offset = Int64(start + first * UInt64(PS_DEVICE_DESCRIPTOR))
        try DeviceFile.complaining("the page arrays") {
            while filled < bytes {
                let count = try descriptor.read(
                    fromAbsoluteOffset: offset + Int64(filled),
                    into: UnsafeMutableRawBufferPointer(rebasing: target[filled...]))
                if count == 0 { break }
                filled += count
            }
        }
        guard let base = target.baseAddress else { return nil }
        return PageArray(base: base, byteCount: bytes, pageCount: count, tag: tag)
    }

    /// One group's descriptors; this program has one thread.
    private nonisolated(unsafe) static let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Int(PS_DEVICE_GROUP_PAGES * PS_DEVICE_DESCRIPTOR), alignment: 64)
}
