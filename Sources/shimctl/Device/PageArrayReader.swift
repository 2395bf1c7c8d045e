import CShimSys
import FoundationEssentials
import Glibc
import PmemShim
import SystemPackage

/// Page arrays as they lie in a file or on a device: read, never mapped, since a mapping could fault.
struct PageArrayReader {
    let descriptor: FileDescriptor
    /// Where the arrays begin in what `descriptor` reads, bytes.
    let start: UInt64
    /// Under which their words count.
    let tag: UInt32

    /// Copies `count` descriptors, at most a group's, from page `first` on; page 0 of the result is `first`, and it is
    /// valid until the next call. Beyond the end of a device that was cut, zeros, which is the initial state.
    func pages(from first: UInt64, count: UInt64) throws -> PageArray? {
        let bytes = Int(count) * Int(PS_DEVICE_DESCRIPTOR)
        let target = UnsafeMutableRawBufferPointer(rebasing: Self.room[..<bytes])
        target.initializeMemory(as: UInt8.self, repeating: 0)
        let offset = Int64(start + first * UInt64(PS_DEVICE_DESCRIPTOR))
        _ = try DeviceFile.complaining("the page arrays") { try descriptor.fill(target, at: offset) }
        guard let base = target.baseAddress else { return nil }
        return PageArray(base: base, byteCount: bytes, pageCount: count, tag: tag)
    }

    /// One group's descriptors; this program has one thread.
    private nonisolated(unsafe) static let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Int(PS_DEVICE_GROUP_PAGES * PS_DEVICE_DESCRIPTOR), alignment: 64)
}
