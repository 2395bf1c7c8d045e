import CShimSys
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import PmemShim

/// Only in a run that must fail (`scripts/test --sanitize`): ThreadSanitizer has to see the engine's own accesses.
private let isWanted = ProcessInfo.processInfo.environment["PMEMSHIM_SABOTAGE"] == "race"

@Suite("What ThreadSanitizer must report", .enabled(if: isWanted, "only in a run that must fail"))
struct SabotageTests {
    /// Slots of inodes are handed out under the engine's lock; here each thread has taken the lock of another arena.
    @Test("two threads in the engine's tables without its lock")
    func tablesWithoutTheirLock() throws {
        let length = Arena.length
        let arena = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 4_096)
        arena.initializeMemory(as: UInt8.self, repeating: 0, count: Arena.headsOffset + Arena.inodeHeads * 4)
        defer { arena.deallocate() }
        let address = UInt(bitPattern: arena)
        let gate = Atomic<Int>(0)
        try inThreads(2) { number in
            let other = UnsafeMutableRawPointer.allocate(byteCount: 4_096, alignment: 4_096)
            other.initializeMemory(as: UInt8.self, repeating: 0, count: 4_096)
            defer { other.deallocate() }
            guard let arena = UnsafeMutableRawPointer(bitPattern: address),
                let lock = EngineLock(Engine(address: other))
            else { return }
            defer { lock.release() }
            gate.wrappingAdd(1, ordering: .relaxed)
            while gate.load(ordering: .relaxed) < 2 { sched_yield() }
            var facts = ps_file_facts()
            for inode in 0..<4_000 {
                facts.inode = UInt64(inode * 2 + number)
                _ = Engine(address: arena).inodeSlot(lock.held, facts, mount: 0)
            }
        }
    }
}
