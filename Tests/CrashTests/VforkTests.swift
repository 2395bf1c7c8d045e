import TestSupport
import Testing

@Suite("A vfork child that is killed leaves nothing behind in the memory it shared")
struct VforkTests {
    @Test("a parent goes on, served, after its child was killed holding the engine's lock")
    func killedWithTheLock() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 128)
        defer { mount.close() }
        let program = try Programs.path("kill-vfork")
        let served = try run(program, ["killed-while-it-closes", mount.directory], preload: true, mounts: [mount.item])
        #expect(served.stdout == "40 children killed, 0 wrong reads\nend\n")
        #expect(served.ending == .exited(0), "\(served.stderr)")
        // Every single one: 40 rounds of 12 files read before, 12 after, and another read 20 times in between.
        #expect(served.counts.served("pread") == 40 * (12 + 20 + 12))
    }
}
