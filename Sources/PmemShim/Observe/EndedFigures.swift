import CShimSys
import Synchronization

/// The figures of processes whose records have been taken over, one line per mount, added atomically: several
/// processes may fold at once, and none waits.
enum EndedFigures {
    /// Each counter is taken out of the record before it is added: whoever is killed in between has lost one number, and
    /// nobody who goes on from there counts one twice.
    static func move(_ record: UnsafeMutablePointer<ps_stats_record>, to file: UnsafeMutablePointer<ps_stats_file>) {
        let lines = withUnsafeMutablePointer(to: &file.pointee.ended) {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: ps_stats_ended.self)
        }
        let mounts = withUnsafeMutablePointer(to: &record.pointee.mounts) {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: ps_stats_mount.self)
        }
        let shards = withUnsafeMutablePointer(to: &record.pointee.shards) { UnsafeMutableRawPointer($0) }
        let mountCount = min(Int(record.pointee.mount_count), Int(PS_STATS_MOUNTS))
        for mount in 0..<mountCount {
            let line = line(for: mounts + mount, lines)
            atomically(&line.pointee.processes, add: 1)
            let target = withUnsafeMutablePointer(to: &line.pointee.counters) { UnsafeMutableRawPointer($0) }
            for shard in 0..<Int(PS_STATS_SHARDS) {
                let source =
                    shards + shard * MemoryLayout<ps_stats_shard>.stride + mount * CounterLayout.stride
                for at in stride(from: 0, to: CounterLayout.faults + 8, by: 8) {
                    let amount = source.load(fromByteOffset: at, as: UInt64.self)
                    guard amount != 0 else { continue }
                    source.storeBytes(of: 0, toByteOffset: at, as: UInt64.self)
                    ps_compiler_barrier()
                    (target + at).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
                        .wrappingAdd(amount, ordering: .relaxed)
                }
            }
        }
    }

    /// Zeroes what the next owner must not inherit.
    static func clear(_ record: UnsafeMutablePointer<ps_stats_record>) {
        let start = UnsafeMutableRawPointer(record)
        let size = MemoryLayout<ps_stats_record>.size
        // From the note on: the head before it is written by the new owner.
        for at in stride(from: 48, to: size, by: 8) {
            guard start.load(fromByteOffset: at, as: UInt64.self) != 0 else { continue }  // leaves holes holes
            start.storeBytes(of: 0, toByteOffset: at, as: UInt64.self)
        }
    }

    private static func atomically(_ value: inout UInt64, add amount: UInt64) {
        _ = withUnsafeMutablePointer(to: &value) {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
                .wrappingAdd(amount, ordering: .relaxed)
        }
    }

    /// The line of that mount, or an unused one made so, or the last.
    private static func line(
        for mount: UnsafeMutablePointer<ps_stats_mount>, _ lines: UnsafeMutablePointer<ps_stats_ended>
    ) -> UnsafeMutablePointer<ps_stats_ended> {
        let last = Int(PS_STATS_ENDED) - 1
        for index in 0..<last {
            let line = lines + index
            let text = pathBytes(line)
            if text[0] == 0 {
                // Two processes may take the same unused line for two mounts: their figures then share it. Soft state.
                line.pointee.backing = mount.pointee.backing
                let source = UnsafeMutableRawPointer(mount).assumingMemoryBound(to: UInt8.self)
                for at in 0..<Int(PS_STATS_PATH) - 1 { text[at] = source[at] }
                return line
            }
            if isSame(text, UnsafeMutableRawPointer(mount).assumingMemoryBound(to: UInt8.self)) { return line }
        }
        return lines + last
    }

    private static func pathBytes(_ line: UnsafeMutablePointer<ps_stats_ended>) -> UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(line).assumingMemoryBound(to: UInt8.self)
    }

    private static func isSame(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>) -> Bool {
        for at in 0..<Int(PS_STATS_PATH) {
            guard left[at] == right[at] else { return false }
            if left[at] == 0 { return true }
        }
        return true
    }
}
