import Foundation
import TestSupport
import Testing

/// Runs under the preload of `scripts/test --sanitize`; nothing elsewhere has a sanitizer to test.
private let hasSanitizer = ProcessInfo.processInfo.environment["PMEMSHIM_PRELOAD_FIRST"]?.contains("asan") ?? false

@Suite(
    "AddressSanitizer sees every part of the library",
    .enabled(if: hasSanitizer, "only with scripts/test --sanitize"))
struct SanitizerTests {
    /// A case of `overruns.c`, and functions of ours that the report's stack must name: they prove whose access it was.
    struct Overrun: CustomTestStringConvertible {
        let testCase: String
        let kind: String
        let functions: [String]
        var testDescription: String { testCase }
    }

    static let overruns = [
        Overrun(
            testCase: "served-read", kind: "heap-buffer-overflow", functions: ["ps_copy", "ps_engine_fast_pread"]),
        Overrun(testCase: "served-write", kind: "heap-buffer-overflow", functions: ["ps_copy", "PlainWrite"]),
        Overrun(
            testCase: "served-read-into-freed", kind: "heap-use-after-free",
            functions: ["ps_copy", "ps_engine_fast_pread"]),
        Overrun(testCase: "vector-array", kind: "heap-buffer-overflow", functions: ["ps_copy", "Vector"]),
        Overrun(testCase: "pipe-ends", kind: "heap-buffer-overflow", functions: ["ps_fresh_pair"]),
    ]

    @Test("an overrun by a copy, by the C face, or of a vector is reported where it happens", arguments: overruns)
    func reported(overrun: Overrun) throws {
        let result = try perform(overrun.testCase)
        #expect(result.ending == .exited(86), "\(result.stderr)")
        #expect(result.stderr.contains("ERROR: AddressSanitizer: \(overrun.kind)"), "\(result.stderr)")
        let stack = result.stderr.split(separator: "\n").filter { $0.hasPrefix("    #") }.prefix(12)
        for function in overrun.functions {
            #expect(stack.contains { $0.contains(function) }, "\(stack.joined(separator: "\n"))")
        }
    }

    @Test("the engine's own accesses, which are Swift, are instrumented")
    func engineIsInstrumented() throws {
        // The environment is the only memory of a program that the engine reads without a guard. Symbolizers would
        // inherit the preload.
        let result = try perform("exact", behind: "short-environment-library.so", options: "symbolize=0")
        #expect(result.ending == .exited(86), "\(result.stderr)")
        let first = result.stderr.split(separator: "\n").first { $0.contains("#0 ") } ?? ""
        #expect(result.stderr.contains("heap-buffer-overflow"), "\(result.stderr)")
        #expect(first.contains("libpmemshim.so"), "\(result.stderr)")
    }

    @Test("the same calls with room enough are served, and nothing is reported")
    func nothingReported() throws {
        let result = try perform("exact")
        #expect(result.ending == .exited(0), "\(result.stderr)")
        #expect(result.stderr.isEmpty)
        for family in ["pread", "pwrite", "preadv", "pwritev"] { #expect(result.counts.served(family) > 0) }
    }

    /// Reports go to stderr here: they are wanted, and must not be among those that fail the whole run.
    private func perform(_ testCase: String, behind last: String? = nil, options: String = "symbolize=1") throws -> Run
    {
        let mount = try ScratchMount(.tmpfs)
        defer { mount.close() }
        let common = ProcessInfo.processInfo.environment["ASAN_OPTIONS"] ?? ""
        var environment = ["ASAN_OPTIONS": "\(common):log_path=stderr:\(options)"]
        if let last { environment["LD_PRELOAD"] = try "\(Shim.preload):\(Programs.directory)/\(last)" }
        return try run(
            Programs.path("overruns"), [testCase, mount.directory], environment: environment, preload: true,
            mounts: [mount.item])
    }
}
