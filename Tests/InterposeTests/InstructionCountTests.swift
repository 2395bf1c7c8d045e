import Foundation
import TestSupport
import Testing

/// The way of a served call is counted, not timed (Tests/Programs/count-instructions.c, by single-stepping).
@Suite("Instructions of a served call", .serialized)
struct InstructionCountTests {
    /// From the program's call instruction to the one behind it, with those that put the arguments in place: seven more
    /// than the library's own. The rest of a longer call is its copy.
    private static let served = 109

    @Test("a served pread of 64 bytes takes no instruction more than it did")
    func pread() throws {
        let mount = try ScratchMount(.tmpfs)
        let result = try run(
            Programs.path("count-instructions"), [mount.directory], preload: true, mounts: [mount.item])
        #expect(result.ending == .exited(0), "\(result.stderr)")
        let line = result.lines.first { $0.hasPrefix("pread 64: ") }
        let count = try #require(line?.split(separator: " ").last.flatMap { Int($0) }, "\(result.stdout)")
        guard count >= 0 else { try Test.cancel("this user may not trace") }
        // Fewer than a system call's wrapper has would mean that nothing was served.
        #expect(count > 40 && count <= Self.served, "\(result.stdout)")
    }
}
