import Foundation
import TestSupport
import Testing

@Suite("Files on DAX", .enabled(if: Machine.isInside))
struct InsideTests {
    typealias Kind = ScratchMount.Kind

    /// What the program says after the word.
    private func number(_ word: String, in run: Run) throws -> Int {
        let line = try #require(run.lines.first { $0.hasPrefix("\(word) ") }, "\(run.stdout)")
        return try #require(Int(line.dropFirst(word.count + 1)))
    }

    @Test("a mapping and calls show the same bytes, and the program may map with MAP_SYNC", arguments: Kind.served)
    func mapping(kind: Kind) throws {
        try expectSameAsNative("dax-mapping", "synchronous", on: kind, serving: ["pread", "pwrite"])
        let mount = try ScratchMount(kind)
        let run = try run(Programs.path("dax-mapping"), ["synchronous", mount.directory], preload: false)
        // Else nothing here was tested on DAX.
        #expect(run.lines.starts(with: ["dax 1", "MAP_SYNC 1"]), "\(run.stdout)")
    }

    @Test(
        "preallocated space holds what was written, and zeros, while it is made ready",
        arguments: ["preallocated", "preallocated-threads", "preallocated-processes"], Kind.served)
    func preallocated(program: String, kind: Kind) throws {
        try expectSameAsNative("dax-mapping", program, on: kind, serving: ["pread"])
    }

    /// What a case that writes preallocated space says of its groups of 2 MiB, and how many writes were served.
    private func written(_ testCase: String, on kind: Kind) throws -> (groups: Int, served: Int, all: String) {
        let mount = try ScratchMount(kind)
        let run = try run(Programs.path("dax-mapping"), [testCase, mount.directory], preload: true, mapAfter: nil)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        return (try number("groups", in: run), run.counts.served("pwrite"), "\(run.stdout)\(run.counts.calls)")
    }

    @Test("preallocated space is served once groups of 2 MiB of it have been made ready", arguments: Kind.served)
    func preallocatedIsServed(kind: Kind) throws {
        let (groups, served, _) = try written("preallocated-groups", on: kind)
        // Each has 512 pages; those that the kernel had begun to write before are its own.
        #expect(served >= groups * 256)
    }

    @Test("a log that is made anew again and again is served nearly from its beginning", arguments: Kind.served)
    func preallocatedAgain(kind: Kind) throws {
        let (groups, served, all) = try written("preallocated-again", on: kind)
        // All but the first and the last of each of three logs, where nothing else was in the way. PriceTests has the
        // arithmetic, wherever the file lies. Run by itself (scripts/lib/inside.sh): others would take the numbers and
        // places that its logs have given up.
        if groups < 18 { try Test.cancel("the file system has placed the file otherwise") }
        // 10,200 of 16,384; 7,700 where the next log waits as long as the first.
        #expect(served >= 9_000, "\(all)")
    }

    @Test("a few bytes by O_DSYNC beside served pages cost no page fault", arguments: Kind.served)
    func committedByFewBytes(kind: Kind) throws {
        let mount = try ScratchMount(kind)
        let native = try run(Programs.path("dax-mapping"), ["committed-by-few-bytes", mount.directory], preload: false)
        let run = try run(Programs.path("dax-mapping"), ["committed-by-few-bytes", mount.directory], preload: true)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        let faults = try number("faults", in: run) - number("faults", in: native)
        // One for each of 4,000 commits, until November 2026.
        #expect(faults < 1_000, "\(run.stdout)")
    }

    @Test("their mount is found without being named, and its backing is dax", arguments: Kind.served)
    func found(kind: Kind) throws {
        let mount = try ScratchMount(kind)
        let scratch = try ScratchDirectory()
        let log = "\(scratch.path)/log"
        let run = try run(
            Programs.path("dax-mapping"), ["synchronous", mount.directory], environment: ["PMEMSHIM_LOG": log],
            preload: true, runtimeDirectory: scratch.path)
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.counts.served("pread") > 50)
        #expect(run.counts.served("pwrite") > 50)
        #expect(try String(contentsOfFile: log, encoding: .utf8).contains("served \(mount.directory)/file\n"))
        let stats = try TestSupport.run(
            Shim.shimctl, ["stats", "--json"], environment: ["PMEMSHIM_RUNTIME_DIR": scratch.path], preload: false)
        #expect(stats.stdout.replacing(" ", with: "").contains(#""backing":"dax""#), "\(stats.stdout)\(stats.stderr)")
    }

    @Test(
        "an overlay whose layers are on DAX is never served: its files say that they are, too",
        arguments: ScratchMount.Kind.served, ["", "merged", "merged:pagecache"])
    func overlay(kind: ScratchMount.Kind, named: String) throws {
        let mount = try ScratchMount(kind)
        let scratch = try ScratchDirectory()
        let log = "\(scratch.path)/log"
        var runs: [Run] = []
        for preload in [false, true] {
            let directory = mount.path("\(preload)")
            _ = try spawn("/bin/mkdir", [directory])
            runs.append(
                try TestSupport.run(
                    Programs.path("changing-mounts"), ["overlaid", directory],
                    environment: ["PMEMSHIM_LOG": log].filter { _ in preload }, preload: preload,
                    mounts: named.isEmpty ? [] : ["\(directory)/\(named)"]))
        }
        #expect(runs[0].ending == .exited(0), "\(runs[0].stderr)")
        #expect(runs[1].ending == runs[0].ending, "\(runs[1].stderr)")
        if let difference = firstDifference(runs[0].lines, runs[1].lines) { Issue.record(difference) }
        // A layer of it, by its own name, is served: the overlay is on DAX indeed.
        let served = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").filter {
            $0.contains("served /")
        }
        #expect(served.contains { $0.hasSuffix("/upper/other") }, "\(served)")
        #expect(!served.contains { $0.contains("/merged/") }, "\(served)")
        #expect(runs[1].counts.served("pread") <= 400)
    }
}
