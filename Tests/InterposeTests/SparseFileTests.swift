import Foundation
import TestSupport
import Testing

@Suite("Files with holes cost the space they would cost without the shim, and are served where they have pages")
struct SparseFileTests {
    typealias Kind = ScratchMount.Kind

    @Test("reading a sparse file of 1 GiB in every way allocates no page")
    func readingHoles() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 2_048)
        let result = try run(
            Programs.path("sparse-files"), ["reading-holes", mount.directory], preload: true, mounts: [mount.item])
        #expect(result.ending == .exited(0), "\(result.stderr)")
        // Of one that is all hole nothing can be served; that the shim has looked at every call is what is shown here.
        #expect(result.counts.passedOn("sparse", "pread") > 100_000)
        #expect(result.lines.filter { $0.hasSuffix(" 0 blocks") }.count == 4, "\(result.stdout)")
    }

    @Test("reading around the data in a sparse file serves the data and allocates nothing around it")
    func readingAroundData() throws {
        try expectSameAsNative(
            "sparse-files", "reading-around-data", on: .tmpfs, serving: ["pread"], mebibytes: 2_048)
    }

    @Test("a write into a hole is the kernel's, later ones to the same place are served")
    func writingIntoHoles() throws {
        try expectSameAsNative(
            "sparse-files", "writing-into-holes", on: .tmpfs, serving: ["pread", "pwrite"], mebibytes: 256)
    }

    @Test("space that is preallocated and not yet written is written by the kernel first")
    func preallocated() throws {
        try expectSameAsNative(
            "sparse-files", "preallocated", on: .tmpfs, serving: ["pread", "pwrite"], mebibytes: 256)
    }

    @Test("holes that are punched or left by truncation stay holes when read", arguments: [Kind.tmpfs])
    func punching(kind: Kind) throws {
        try expectSameAsNative("sparse-files", "punching", on: kind, serving: ["pread", "pwrite"], mebibytes: 256)
    }

    @Test(
        "a hole where another process had written, left by a cut that its own process does not see the whole of")
    func cutAndExtended() throws {
        try expectSameAsNative("sparse-files", "cut-and-extended", on: .tmpfs, serving: ["pread"])
    }

    @Test("holes that a file gets by growing stay holes", arguments: ["grown-behind-a-hole", "grown-by-a-hole"])
    func grown(testCase: String) throws {
        try expectSameAsNative("sparse-files", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test("what one process has written into holes once is served in the next, without another page")
    func inEveryProcess() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 2_048)
        let runtime = try ScratchDirectory(in: "/dev/shm")
        func shimmed(_ testCase: String) throws -> Run {
            try run(
                Programs.path("sparse-files"), [testCase, mount.directory], preload: true, mounts: [mount.item],
                runtimeDirectory: runtime.path)
        }
        let first = try shimmed("write-once")
        #expect(first.ending == .exited(0), "\(first.stderr)")
        #expect(first.counts.passedOn("sparse", "pwrite") == 65)
        #expect(first.counts.served() == 0)
        let blocks = first.lines.first { $0.hasSuffix(" blocks") }
        let second = try shimmed("use")
        #expect(second.ending == .exited(0), "\(second.stderr)")
        #expect(second.lines.first { $0.hasSuffix(" blocks") } == blocks)
        #expect(second.counts.served("pread") > 3_000, "\(second.counts.calls)")
        #expect(second.counts.served("pwrite") > 3_000, "\(second.counts.calls)")
        // Each place was written through the kernel once, by the first process.
        #expect(second.counts.passedOn("sparse", "pwrite") < 65 + 64)
    }

    @Test("the page arrays are a private file of the user's, and one that others could write is not used")
    func privateArrays() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 256)
        for spoil in [false, true] {
            let runtime = try ScratchDirectory(in: "/dev/shm")
            let path = "\(runtime.path)/pages"
            if spoil {
                _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o666])
            }
            let result = try mount.withDirectory("shimmed") {
                try run(
                    Programs.path("sparse-files"), ["writing-into-holes", $0], preload: true, mounts: [mount.item],
                    runtimeDirectory: runtime.path)
            }
            #expect(result.ending == .exited(0), "\(result.stderr)")
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.size] as? Int ?? 0 > 0) == !spoil)
            if !spoil { #expect(attributes[.posixPermissions] as? Int == 0o600) }
        }
    }
}
