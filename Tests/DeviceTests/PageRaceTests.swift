import Foundation
import TestSupport
import Testing

/// Two processes, first at the same pages at the same time.
@Suite("Races for the page array") struct PageRaceTests {
    @Test("10,000 first touches by two processes: each layer initialised once, nothing lost")
    func twoProcesses() throws {
        let scratch = try ScratchDirectory(in: "/dev/shm")
        defer { scratch.close() }
        let file = "\(scratch.path)/array"
        // Control words of 0, and noise where the descriptors are.
        let noise = (0..<(2 << 20) / 8).map { _ in UInt64.random(in: 0...UInt64.max) }
        try (Data(count: 4_096) + noise.withUnsafeBytes { Data($0) }).write(to: URL(fileURLWithPath: file))

        let script = "\"$0\" \"$1\" \"$2\" 1 & \"$0\" \"$1\" \"$2\" 0; status=$?; wait $! || status=9; exit $status"
        let run = try spawn(
            "/usr/bin/bash", ["-c", script, try program(), file, "10000"], timeout: .seconds(120))
        #expect(run.ending == .exited(0), "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.hasPrefix("rounds 10000, wrong 0, "), "\(run.stdout)")
    }

    /// Beside the test bundle, where the package manager builds it.
    private func program() throws -> String {
        let bundle = try #require(CommandLine.arguments.first { $0.hasSuffix(".xctest") })
        let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("page-race").path
        guard FileManager.default.isExecutableFile(atPath: path) else { throw SetupError("\(path) is missing") }
        return path
    }
}
