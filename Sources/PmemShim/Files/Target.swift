import CShimSys
import Synchronization

/// The most that the kernel moves in one call, bytes (MAX_RW_COUNT in its include/linux/fs.h): of more it moves that
/// much.
let mostInOneCall = 0x7fff_f000

/// A descriptor of ours, as one data call found it.
struct Target {
    let fd: Int32
    let descriptor: UnsafeMutablePointer<Descriptor>
    let word: DescriptorWord
    let inode: UnsafeMutablePointer<Inode>
    let geometry: Geometry
    let thread: CurrentThread
    let family: ps_family
}

extension Target {
    /// Whether [offset, offset + count) is not empty, ends at or before `limit`, and its region is hot. Of these only
    /// the bounds matter to safety; `limit` itself is a hint.
    @inline(__always)
    func looksServable(_ offset: Int64, _ count: Int, limit: Int64) -> Bool {
        guard count > 0, offset >= 0, offset <= limit, Int64(count) <= limit &- offset, count <= mostInOneCall else {
            return false
        }
        return inode.heat(offset, geometry) >= geometry.threshold
    }

    /// Before the offset is moved, and after the call has been announced: whether the number still means what it meant.
    /// Then it goes on meaning it until the call has ended (``Engine/claimsHaveEnded()``).
    @inline(__always)
    func mayClaim() -> Bool { descriptor.pointee.word.load(ordering: .acquiring) == word.bits }

    /// After the offset has been moved: whether the kernel may be asked to go on there. Not where a signal handler has
    /// given the number to another file in the middle of this very call.
    func isStillMeant() -> Bool {
        if descriptor.pointee.word.load(ordering: .acquiring) == word.bits { return true }
        var facts = ps_file_facts()
        return ps_sys_facts_of_descriptor(fd, &facts) == 0 && facts.inode == inode.pointee.number
            && facts.device == inode.pointee.device
    }

    @inline(__always)
    func count(_ outcome: ps_outcome) { thread.count(geometry.statistics, family, outcome) }
}
