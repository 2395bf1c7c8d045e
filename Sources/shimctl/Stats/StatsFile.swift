import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// The statistics file of one user, open for reading. Its content is figures that anybody of that user may have
/// scribbled over: everything is copied out with pread before it is looked at (a mapping could fault when the file is
/// truncated), and nothing in it is used as an index or a length.
struct StatsFile {
    let directory: FilePath
    private let descriptor: FileDescriptor

    /// Opens the file in `place`.
    /// - Returns: nothing if there is none yet.
    /// - Throws: a `Complaint` if it is not this user's own private file, or not one that this version understands.
    static func open(in place: RuntimePlace) throws -> StatsFile? {
        let directory = place.directory
        guard let descriptor = try place.open(PS_STATS_FILE_NAME) else { return nil }
        // A reader must not make memory of the holes it reads (ps_stats.h).
        _ = posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_RANDOM)
        let path = directory.appending(PS_STATS_FILE_NAME)
        let file = StatsFile(directory: directory, descriptor: descriptor)
        do {
            return try file.validate(named: path.string.printable) ? file : nil
        } catch {
            file.close()
            throw error
        }
    }

    func close() { try? descriptor.close() }

    /// Copies `count` bytes at `offset`; what lies beyond the end of the file reads as nothing.
    func bytes(at offset: Int, count: Int) throws -> StatsBytes {
        var failure: (any Error)?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do {
                filled = try descriptor.fill(UnsafeMutableRawBufferPointer(buffer), at: Int64(offset))
            } catch {
                failure = error
            }
        }
        if let failure { throw Complaint(.failure, "the statistics file cannot be read: \(failure)") }
        return StatsBytes(bytes: bytes)
    }

    /// - Returns: false if the file is still empty (its maker has not got further).
    private func validate(named name: String) throws -> Bool {
        let stat = try Stat(descriptor)
        let head = try bytes(at: 0, count: 64)
        if head.bytes.allSatisfy({ $0 == 0 }) { return false }
        guard head.number(at: 0, as: UInt64.self) == UInt64(PS_STATS_MAGIC) else {
            throw Complaint(.failure, "\(name) is not a statistics file of pmemshim (wrong magic number)")
        }
        let version = head.number(at: 8, as: UInt32.self)
        guard version == PS_STATS_VERSION else {
            throw Complaint(
                .failure, "\(name) has layout version \(version); this shimctl reads version \(PS_STATS_VERSION)")
        }
        let expected = [
            StatsLayout.headerSize, StatsLayout.Record.size, StatsLayout.recordCount, StatsLayout.endedCount,
        ]
        let found = (0..<4).map { Int(head.number(at: 12 + $0 * 4, as: UInt32.self)) }
        guard found == expected else {
            throw Complaint(
                .failure,
                "\(name) is damaged: header, record size, records and ended lines are \(found), not \(expected)")
        }
        guard stat.rawValue.st_size >= StatsLayout.fileSize else {
            throw Complaint(
                .failure, "\(name) is truncated: \(stat.rawValue.st_size) bytes of \(StatsLayout.fileSize)")
        }
        return true
    }
}
