import Foundation
import TestSupport
import Testing

@Suite("A file that another process cuts and extends all the time")
struct HostileTests {
    typealias Kind = ScratchMount.Kind

    @Test("reads and writes give nothing that they could not give without the shim", arguments: Kind.served)
    func hostileLoop(kind: Kind) throws {
        try expectNothingImpossible(on: kind, options: [])
    }

    /// A tmpfs may get huge pages at any time: by a remount with huge=, by MADV_COLLAPSE of any process, by khugepaged.
    /// A mapping of one does not fault where the file has ended.
    @Test("nor with huge pages that come and go", arguments: [Kind.tmpfs, .tmpfsHuge], ["--huge", "--remount"])
    func hugePages(kind: Kind, option: String) throws {
        try expectNothingImpossible(on: kind, options: [option])
    }

    private func expectNothingImpossible(on kind: Kind, options: [String]) throws {
        try skipIfUnavailable(kind)
        let mount = try ScratchMount(kind)
        let runtime = try ScratchDirectory()
        // The program runs the reader and writer natively and under the shim, and is itself never under it.
        guard !options.contains("--remount") || mount.isWholeFileSystem else {
            try Test.cancel("this user may not mount")
        }
        let arguments =
            options + [
                "--seconds", "1", "--library", try Shim.preload, "--mounts", mount.item, "--runtime", runtime.path,
                mount.directory,
            ]
        let result = try run(Programs.path("hostile"), arguments, preload: false)
        #expect(result.ending == .exited(0), "\(result.stdout)\(result.stderr)")
        if !options.isEmpty, FileManager.default.fileExists(atPath: "/sys/kernel/mm/transparent_hugepage") {
            // mappings of the file in huge pages, made by the third           470        617
            let made = result.lines.first { $0.hasPrefix("mappings of the file in huge pages") }
            let counts = made?.split(separator: " ").suffix(2).compactMap { Int($0) } ?? []
            // Under the shim, that is. The other run only has to end well, and on a busy machine it may see none.
            #expect(counts.count == 2 && counts[1] > 0, "no huge pages came: \(result.stdout)")
        }
        let counts = try ServedCounts.read(runtimeDirectory: runtime.path)
        #expect(counts.served() > 0, "\(counts.calls)")
        #expect(counts.faults > 0 || !options.isEmpty, "no copy has met a cut")
    }
}
