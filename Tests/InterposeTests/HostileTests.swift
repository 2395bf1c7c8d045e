import TestSupport
import Testing

@Suite("A file that another process cuts and extends all the time")
struct HostileTests {
    typealias Kind = ScratchMount.Kind

    @Test("reads and writes give nothing that they could not give without the shim", arguments: Kind.served)
    func hostileLoop(kind: Kind) throws {
        try skipIfUnavailable(kind)
        let mount = try ScratchMount(kind)
        let runtime = try ScratchDirectory()
        // The program runs the reader and writer natively and under the shim, and is itself never under it.
        let arguments = [
            "--seconds", "1", "--library", try Shim.preload, "--mounts", mount.item, "--runtime", runtime.path,
            mount.directory,
        ]
        let result = try run(Programs.path("hostile"), arguments, preload: false)
        #expect(result.ending == .exited(0), "\(result.stdout)\(result.stderr)")
        let counts = try ServedCounts.read(runtimeDirectory: runtime.path)
        // Where most of the file is the kernel's (the last huge page) a second of a busy machine may not bring more.
        #expect(counts.served() > 0, "\(counts.calls)")
        #expect(counts.faults > 0 || kind == .tmpfsHuge, "no copy has met a cut")
    }
}
