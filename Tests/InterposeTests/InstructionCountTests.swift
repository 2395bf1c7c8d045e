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

    /// Of each instruction the file of ours that it comes from, inlined or not: docs/design.md names them.
    @Test("a served pread goes through at most eight files of ours, without regions to ask about")
    func files() throws {
        let mount = try ScratchMount(.tmpfs)
        // The library as it was linked: what is installed has no line numbers.
        let result = try run(
            Programs.path("count-instructions"), [mount.directory], preload: true, mounts: [mount.item], mapAfter: 0)
        let line = result.lines.first { $0.hasPrefix("at pread 64:") }
        let addresses = Set(try #require(line, "\(result.stdout)").split(separator: " ").dropFirst(3).map(String.init))
        guard !addresses.isEmpty else { try Test.cancel("this user may not trace") }
        let lines = try spawn("/usr/bin/addr2line", ["-a", "-i", "-e", Shim.library] + addresses.sorted()).lines
        var files: Set<String> = []
        var isFound = false
        for line in lines {
            if line.hasPrefix("0x") {
                isFound = false
            } else if !isFound, line.contains("/Sources/"), let file = line.split(separator: "/").last {
                files.insert(String(file.prefix { $0 != ":" }))
                isFound = true
            }
        }
        #expect(files.contains("Engine+Fast.swift") && files.contains("guarded_copy.S"), "\(files)")
        #expect(files.count <= 8, "\(files.sorted())")
    }
}
