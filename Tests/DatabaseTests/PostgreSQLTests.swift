import Foundation
import TestSupport
import Testing

/// An unmodified PostgreSQL with its data directory served: the same contents as without the shim after the same work,
/// and clusters that a server without the shim finds in order. Every scenario of `Programs/postgres.sh` ends with the
/// checksums of all pages verified, and with a native server, amcheck and the contents.
@Suite(.serialized) struct PostgreSQLTests {
    static let scenarios = ["deterministic", "tour", "turns"]
    static let concurrentScenarios = ["concurrent", "beside"]

    @Test("a server under the shim leaves the same contents as one without it", arguments: scenarios, [0, 24])
    func sameContents(scenario: String, mapAfter: Int?) throws {
        let native = try run(scenario, preload: false, mapAfter: nil).run
        let (served, counts) = try run(scenario, preload: true, mapAfter: mapAfter)

        #expect(native.ending == .exited(0), "\(native.stderr)")
        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        expectServed(counts, mapAfter: mapAfter)
    }

    @Test(
        "clients at once, crashes and copies beside a server under the shim leave totals that agree",
        arguments: concurrentScenarios, [0, 24])
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
        expectServed(counts, mapAfter: mapAfter)
    }

    /// Random bytes, and words that count but lie, every 10 ms in what all processes of the server share.
    @Test("page arrays overwritten while pgbench runs change nothing that a server sees", arguments: [0, nil])
    func noise(mapAfter: Int?) throws {
        let (served, counts) = try run("concurrent", preload: true, mapAfter: mapAfter, scribbling: true)

        let expected = ["balanced", "balanced", "balanced", "Bad checksums:  0", "amcheck clean", "balanced"]
        #expect(served.lines.dropLast().map(String.init) == expected)
        let scribbled = served.stderr.split(separator: " ")
        #expect(scribbled.count == 3 && Int(scribbled[1]) ?? 0 > 10, "\(served.stderr)")
        #expect(served.ending == .exited(0))
        expectServed(counts, mapAfter: mapAfter)
    }

    /// The short form of `scripts/crash postgres`, which also takes copies meanwhile.
    @Test("eight clients, a server process killed every other second, a restart in immediate mode: totals agree")
    func killed() throws {
        let arguments = try [
            "150", "\(Shim.packageRoot)/scripts/crash", "postgres", "--library", Shim.library,
            "--shimctl", Shim.shimctl, "--seconds", "8", "--every", "2", "--scale", "1", "--seed", "2", "--alone",
        ]
        let killed = try TestSupport.run("/usr/bin/timeout", arguments, preload: false, timeout: .seconds(180))
        #expect(killed.ending == .exited(0), "\(killed.stdout)\(killed.stderr)")
        #expect(killed.stdout.contains("1 restart in immediate mode"))
        // What it says when it is good, and that it was the shim that was tested.
        for line in ["totals, seen by a server without the shim", "pg_amcheck", "bad checksums"] {
            #expect(killed.stdout.contains("\n    \(line) "), "\(killed.stdout)")
        }
        let pwrite = killed.lines.first { $0.hasPrefix("pwrite ") }?.split(separator: " ") ?? []
        #expect(pwrite.count > 2 && Int(pwrite[2].filter { $0 != "," }) ?? 0 > 500, "\(killed.stdout)")
    }

    /// Few buffers and relations larger than they are: data files are read and written by calls all the time. But each
    /// process of a server writes little, and in order, which is not worth a window unless all is to be served at once.
    private func expectServed(_ counts: ServedCounts, mapAfter: Int?) {
        #expect(counts.servedReads > 100)
        #expect(counts.servedWrites > (mapAfter == 0 ? 100 : 0))
        #expect(counts.notes == [])
    }

    private func run(
        _ scenario: String, preload: Bool, mapAfter: Int?, scribbling: Bool = false
    ) throws -> (run: Run, counts: ServedCounts) {
        let statistics = try ScratchDirectory()
        defer { statistics.close() }
        // Ended by SIGTERM where it hangs, so that it can stop its servers.
        let noise = scribbling ? [try Programs.path("scribble"), "\(statistics.path)/pages"] : []
        let arguments =
            ["150"] + noise + [
                "/usr/bin/bash", "\(Shim.packageRoot)/Tests/DatabaseTests/Programs/postgres.sh", scenario,
                preload ? try Shim.library : "none", mapAfter.map(String.init) ?? (scribbling ? "early" : "default"),
                statistics.path,
            ]
        // The script itself runs natively; it gives the shim to the server.
        let run = try TestSupport.run("/usr/bin/timeout", arguments, preload: false, timeout: .seconds(180))
        return (run, try ServedCounts.read(runtimeDirectory: statistics.path))
    }
}
