import Foundation
import TestSupport
import Testing

/// An unmodified PostgreSQL with its data directory served: the same contents as without the shim after the same work,
/// and clusters that a server without the shim finds in order. Every scenario of `Programs/postgres.sh` ends with the
/// checksums of all pages verified, and with a native server, amcheck and the contents.
@Suite(.serialized) struct PostgreSQLTests {
    static let scenarios = ["deterministic", "tour", "turns"]
    static let concurrentScenarios = ["concurrent", "beside"]

    @Test("a server under the shim leaves the same contents as one without it", arguments: scenarios, [0, nil])
    func sameContents(scenario: String, mapAfter: Int?) throws {
        let native = try run(scenario, preload: false, mapAfter: nil).run
        let (served, counts) = try run(scenario, preload: true, mapAfter: mapAfter)

        #expect(native.ending == .exited(0), "\(native.stderr)")
        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        expectServed(counts)
    }

    @Test(
        "clients at once, crashes and copies beside a server under the shim leave totals that agree",
        arguments: concurrentScenarios, [0, nil])
    func totals(scenario: String, mapAfter: Int?) throws {
        let (served, counts) = try run(scenario, preload: true, mapAfter: mapAfter)

        let expected =
            switch scenario {
            case "concurrent": ["balanced", "balanced", "balanced"]
            default: ["backup verified", "balanced", "backup clean", "t"]
            }
        let clean = ["Bad checksums:  0", "amcheck clean", "balanced"]
        #expect(served.lines.dropLast().map(String.init) == expected + clean)
        #expect(served.stderr == "")
        #expect(served.ending == .exited(0))
        expectServed(counts)
    }

    /// Few buffers and relations larger than they are: data files are read and written by calls all the time.
    private func expectServed(_ counts: ServedCounts) {
        #expect(counts.servedReads > 100)
        #expect(counts.servedWrites > 100)
        #expect(counts.notes == [])
    }

    private func run(_ scenario: String, preload: Bool, mapAfter: Int?) throws -> (run: Run, counts: ServedCounts) {
        let statistics = try ScratchDirectory()
        defer { statistics.close() }
        // Ended by SIGTERM where it hangs, so that it can stop its servers.
        let arguments = [
            "150", "/usr/bin/bash", "\(Shim.packageRoot)/Tests/DatabaseTests/Programs/postgres.sh", scenario,
            preload ? try Shim.library : "none", mapAfter.map(String.init) ?? "default", statistics.path,
        ]
        // The script itself runs natively; it gives the shim to the server.
        let run = try TestSupport.run("/usr/bin/timeout", arguments, preload: false, timeout: .seconds(180))
        return (run, try ServedCounts.read(runtimeDirectory: statistics.path))
    }
}
