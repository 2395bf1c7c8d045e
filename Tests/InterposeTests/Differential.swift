import TestSupport
import Testing

/// Runs one case of a program in `Tests/Programs` twice on one mount, natively and under the shim, each in a fresh
/// directory, and expects the same transcript and the same end. The native run is the reference.
///
/// - Parameters:
///   - families: entry families (as in `enum ps_family`) of which the shim must have served calls; without this, a
///     run in which everything was passed on would pass the comparison.
///   - mebibytes: the size of the mount.
///   - onWholeFileSystem: the case fills the file system or counts its space: it must be the mount's own.
///   - mapAfter: `PMEMSHIM_MAP_AFTER`; nil: the default, with which few calls of a short program are served.
///   - environment: laid over that of both runs; a native run has none of the shim's variables.
func expectSameAsNative(
    _ program: String, _ testCase: String, on kind: ScratchMount.Kind, serving families: [String],
    mebibytes: Int = 64, onWholeFileSystem: Bool = false, mapAfter: Int? = 0, environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    try skipIfUnavailable(kind)
    let mount = try ScratchMount(kind, mebibytes: mebibytes)
    if onWholeFileSystem && !mount.isWholeFileSystem {
        try Test.cancel("only root can mount a file system that this test may fill")
    }
    let executable = try Programs.path(program)
    let native = try mount.withDirectory("native") {
        try run(
            executable, [testCase, $0], environment: environment.filter { !$0.key.hasPrefix("PMEMSHIM_") },
            preload: false)
    }
    let shimmed = try mount.withDirectory("shimmed") {
        try run(
            executable, [testCase, $0], environment: environment, preload: true, mounts: [mount.item],
            mapAfter: mapAfter)
    }
    #expect(
        native.ending == .exited(0), "the reference itself: \(native.stderr)", sourceLocation: sourceLocation)
    #expect(shimmed.ending == native.ending, "\(shimmed.stderr)", sourceLocation: sourceLocation)
    if let difference = firstDifference(native.lines, shimmed.lines) {
        Issue.record("\(program) \(testCase) on \(kind): \(difference)", sourceLocation: sourceLocation)
    }
    #expect(shimmed.stderr == native.stderr, sourceLocation: sourceLocation)
    for family in families {
        #expect(
            shimmed.counts.served(family) > 0, "no \(family) was served: \(shimmed.counts.calls)",
            sourceLocation: sourceLocation)
    }
}

/// Where two transcripts part, with the lines before it; nil when they are equal.
func firstDifference(_ native: [Substring], _ shimmed: [Substring]) -> Comment? {
    let length = max(native.count, shimmed.count)
    func line(_ lines: [Substring], _ index: Int) -> String { index < lines.count ? "\(lines[index])" : "(no line)" }
    guard let first = (0..<length).first(where: { line(native, $0) != line(shimmed, $0) }) else { return nil }
    let before = native[max(0, first - 6)..<first].map { "    \($0)" }.joined(separator: "\n")
    let differing = (first..<length).filter { line(native, $0) != line(shimmed, $0) }.count
    return Comment(
        rawValue: """
            \(differing) of \(length) lines differ, the first is line \(first + 1):
            \(before)
              native  \(line(native, first))
              shimmed \(line(shimmed, first))
            """)
}

extension ScratchMount {
    /// Calls `body` with a fresh directory of this mount and removes the directory afterwards.
    func withDirectory<Result>(_ name: String, _ body: (String) throws -> Result) throws -> Result {
        let made = try spawn("/bin/mkdir", ["-m", "777", path(name)])
        guard made.ending == .exited(0) else { throw SetupError(made.stderr) }
        defer { _ = try? spawn("/bin/rm", ["-rf", path(name)]) }
        return try body(path(name))
    }
}
