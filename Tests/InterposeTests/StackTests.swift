import TestSupport
import Testing

@Suite("The stack of the caller: what calls take of it, and calls where there is little")
struct StackTests {
    typealias Kind = ScratchMount.Kind

    /// How many bytes more than libc's own wrapper: where a call is served, and where something is learnt, mapped,
    /// mended or let go of.
    static let most = ["served": 512, "slow": 1_280]

    @Test(
        "calls take at most 512 bytes more than natively when served, 1,280 in slow steps",
        arguments: ["served-alone", "served-in-threads", "steps-alone", "steps-in-threads"])
    func depths(testCase: String) throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 64)
        let executable = try Programs.path("stack-use")
        let native = try mount.withDirectory("native") { try run(executable, [testCase, $0], preload: false) }
        let shimmed = try mount.withDirectory("shimmed") {
            try run(executable, [testCase, $0], preload: true, mounts: [mount.item], mapAfter: 0)
        }
        #expect(native.ending == .exited(0) && shimmed.ending == .exited(0), "\(native.stderr)\(shimmed.stderr)")
        try #require(native.lines.count == shimmed.lines.count && native.lines.count > 20)
        for (before, after) in zip(native.lines, shimmed.lines) where before.contains("|") {
            let without = before.split(separator: "|", omittingEmptySubsequences: false)
            let with = after.split(separator: "|", omittingEmptySubsequences: false)
            let bytes = (try #require(Int(without[2])), try #require(Int(with[2])))
            let most = try #require(Self.most[String(without[0])])
            #expect(without[1] == with[1] && without[3] == with[3], "\(before) natively, \(after) with the shim")
            #expect(bytes.1 - bytes.0 <= most, "\(with[1]): \(bytes.1) bytes, natively \(bytes.0)")
        }
        let families = ["pread", "read", "preadv", "readv", "pwrite", "write"]
        for family in testCase.hasPrefix("served") ? families : ["pread"] {
            #expect(shimmed.counts.served(family) > 0, "no \(family) was served")
        }
    }

    @Test("handlers on alternate stacks of all sizes read and write as natively", arguments: Kind.served)
    func smallAlternateStacks(kind: Kind) throws {
        try expectSameAsNative("stack-use", "small-stacks", on: kind, serving: ["pread"])
    }

    @Test("threads with the smallest stack there is", arguments: Kind.served)
    func smallThreads(kind: Kind) throws {
        try expectSameAsNative("stack-use", "small-threads", on: kind, serving: ["pread"])
    }
}
