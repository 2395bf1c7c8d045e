import CShimSys
import Synchronization

extension Engine {
    private var record: UnsafeMutablePointer<ps_stats_record>? {
        UnsafeMutablePointer(bitPattern: root.pointee.statisticsRecord)
    }

    /// Maps the user's statistics file and claims a record in it; once per process, when its first file of ours is
    /// met. Without a file (no directory, foreign owner, no space) the process is served all the same, uncounted.
    /// Engine lock held.
    func attachStatistics() {
        guard !root.pointee.statisticsTried else { return }
        root.pointee.statisticsTried = true
        let me = Int32(truncatingIfNeeded: ps_sys_process())
        guard let record = StatisticsFile.attach(scratch, capacity: 4_096, me) else { return }
        root.pointee.statisticsRecord = UInt(bitPattern: record)
        var index: UInt32 = 0
        while index < root.pointee.mounts {
            publishMount(index)
            index &+= 1
        }
        publishNote()
    }

    /// Shows a mount of ours in this process's record. Engine lock held.
    func publishMount(_ index: UInt32) {
        guard let record, index < UInt32(PS_STATS_MOUNTS) else { return }
        let source = mount(index)
        withUnsafeMutablePointer(to: &record.pointee.mounts) { mounts in
            let target = UnsafeMutableRawPointer(mounts).assumingMemoryBound(to: ps_stats_mount.self) + Int(index)
            target.pointee.backing = source.pointee.backing
            withUnsafeMutablePointer(to: &target.pointee.path) { path in
                let text = UnsafeMutableRawPointer(path).assumingMemoryBound(to: UInt8.self)
                for at in 0..<Int(min(source.pointee.pathLength, UInt32(PS_STATS_PATH) &- 1)) {
                    text[at] = source.path[at]
                }
            }
        }
        record.pointee.mount_count = max(record.pointee.mount_count, index &+ 1)
    }

    /// Shows the first bad PMEMSHIM_* value.
    func publishNote() {
        guard let record, let note = Settings.text(Settings.current.pointee.bad) else { return }
        withUnsafeMutablePointer(to: &record.pointee.note) { target in
            let text = UnsafeMutableRawPointer(target).assumingMemoryBound(to: UInt8.self)
            for at in 0..<min(length(note), 127) { text[at] = note[at] }
        }
    }

    /// Gives the calling thread counters of its own, if the process has a record. One that came too late, or before
    /// the record was there, is asked again at its next slow path.
    func assignShard(_ thread: CurrentThread) {
        guard root.pointee.statisticsRecord != 0, let record else { return }
        let turn = withUnsafeMutablePointer(to: &root.pointee.nextShard) {
            UnsafeMutableRawPointer($0).assumingMemoryBound(to: Atomic<UInt32>.self).pointee
                .wrappingAdd(1, ordering: .relaxed).oldValue
        }
        let last = UInt32(PS_STATS_SHARDS) &- 1
        let shards = withUnsafeMutablePointer(to: &record.pointee.shards) { UInt(bitPattern: $0) }
        let address = shards &+ UInt(min(turn, last)) &* UInt(MemoryLayout<ps_stats_shard>.stride)
        thread.record.pointee.shared.store(turn >= last ? 1 : 0, ordering: .relaxed)
        thread.record.pointee.shard.store(address, ordering: .relaxed)
        thread.record.makeReady()
    }

    /// Windows and mapped bytes of one mount, as they come and go. Engine lock held.
    func countWindow(_ inode: UnsafeMutablePointer<Inode>, bytes: Int64, mapped: Bool) {
        guard let record else { return }
        let index = Int(mount(inode.pointee.mount).pointee.statisticsIndex & 3)
        withUnsafeMutablePointer(to: &record.pointee.mounts) { mounts in
            let target = UnsafeMutableRawPointer(mounts).assumingMemoryBound(to: ps_stats_mount.self) + index
            if mapped {
                target.pointee.windows &+= 1
                target.pointee.windows_total &+= 1
                target.pointee.mapped_bytes &+= UInt64(bytes)
            } else {
                target.pointee.windows &-= 1
                target.pointee.mapped_bytes &-= UInt64(bytes)
            }
        }
    }
}
