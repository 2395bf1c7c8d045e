import CShimSys
import Synchronization

/// What a kernel sync of a file costs that is written through a window, and whether it is worth that.
///
/// The kernel does not know that what we have stored is durable: a sync of its own flushes every page (2 MiB, where the
/// mapping has pages of that size: 100,000 instructions measured) that was stored to since the last one, and protects
/// it again, so that the next store faults. Files whose syncs are the kernel's most of the time are better written by
/// it.
///
/// In ``Inode/syncCost``: the bytes this thread had served at the last kernel sync, modulo 2^48, and above them a
/// score.
struct SyncCost {
    var score: UInt64
    var served: UInt64

    /// Kernel syncs in a row with too little in between, after which writes are the kernel's.
    static let patience: UInt64 = 4
    /// Then so many syncs pass before serving is tried again.
    static let rest: UInt64 = 8_192
    /// Bytes to be served between two kernel syncs for the second to be worth its price.
    static let worth: UInt64 = 1 << 20

    private static let mask: UInt64 = (1 << 48) &- 1

    init(bits: UInt64) {
        score = bits >> 48
        served = bits & SyncCost.mask
    }

    var bits: UInt64 { score << 48 | served & SyncCost.mask }

    /// Whether writes are the kernel's for now.
    var isAloof: Bool { score >= SyncCost.patience }

    /// Another kernel sync, with `served` bytes written by the thread through windows until now.
    mutating func count(served now: UInt64) {
        let since = (now &- served) & SyncCost.mask
        served = now & SyncCost.mask
        if isAloof {
            score = score &+ 1 >= SyncCost.patience &+ SyncCost.rest ? 0 : score &+ 1
        } else {
            // The very first has nothing to be compared with, and nothing in between is no loss.
            score = since >= SyncCost.worth || since == 0 ? 0 : score &+ 1
        }
    }
}

extension Engine {
    /// Bytes that all threads of the process have written through windows of the mount.
    private func servedBytesWritten(_ target: Target) -> UInt64 {
        let counter = target.geometry.statistics &* CounterLayout.stride &+ CounterLayout.servedWritten
        let used = Int(min(root.pointee.threads.shards.load(ordering: .relaxed), UInt32(PS_STATS_SHARDS)))
        // A thread that may not copy must not touch the record, and has served nothing.
        let isReady = target.thread.record.pointee.ready.load(ordering: .relaxed) != 0
        var sum: UInt64 = 0
        for index in 0..<used {
            let own = shards &+ UInt(index &* StatisticsFile.shardSize)
            let place = isReady ? knownShard(own) : own
            if place != own { sum &+= load(own &+ UInt(counter)) }
            sum &+= load(place &+ UInt(counter))
        }
        return sum
    }

    private func load(_ address: UInt) -> UInt64 {
        UnsafeRawPointer(bitPattern: address)?.load(as: UInt64.self) ?? 0
    }

    /// Notes a kernel sync of a whole file that was done for `target`.
    func noteKernelSync(_ target: Target) {
        let inode = target.inode
        var cost = SyncCost(bits: inode.pointee.syncCost.load(ordering: .relaxed))
        cost.count(served: servedBytesWritten(target))
        inode.pointee.syncCost.store(cost.bits, ordering: .relaxed)
        guard cost.isAloof != inode.has(InodeFlag.aloof) else { return }
        if cost.isAloof { inode.set(InodeFlag.aloof) } else { inode.clear(InodeFlag.aloof) }
        inode.updateLimits()
    }
}
