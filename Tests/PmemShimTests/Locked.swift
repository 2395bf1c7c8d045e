import CShimSys
import Testing

@testable import PmemShim

/// Runs `body` with an engine in an arena of its own, whose lock the calling thread has taken.
func withLock<Result>(_ body: (Engine, LockHeld) throws -> Result) throws -> Result {
    let arena = try #require(ps_sys_arena(Arena.length))
    defer { _ = ps_sys_unmap(UInt(bitPattern: arena), Arena.length) }
    let engine = Engine(address: arena)
    let lock = try #require(EngineLock(engine))
    defer { lock.release() }
    return try body(engine, lock.held)
}
