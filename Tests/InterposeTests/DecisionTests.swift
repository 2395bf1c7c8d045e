import TestSupport
import Testing

/// Whether a write is served, and if not why not, is decided in the general way, and before it in short ways of their
/// own for those calls that come most often. Every way must decide the same: the figures of a program that makes the
/// same calls in one state by each way are compared (Tests/Programs/write-decision.c).
@Suite("Every way through the engine decides the same about a write")
struct DecisionTests {
    typealias Kind = ScratchMount.Kind

    struct Way: Sendable, CustomTestStringConvertible {
        let call: String
        let threads: String
        /// Shorter ones are left to the kernel by this way.
        var leastServed = 1
        /// In the figures.
        let family: String

        var testDescription: String { "\(call), \(threads == "one" ? "one thread" : "two threads")" }
    }

    /// The general way for a plain pwrite.
    static let general = Way(call: "pwrite", threads: "two", family: "pwrite")
    static let others = [
        Way(call: "pwrite", threads: "one", family: "pwrite"),
        Way(call: "number", threads: "one", family: "pwrite"),
        Way(call: "pwritev", threads: "one", leastServed: 512, family: "pwritev"),
        Way(call: "pwritev2", threads: "two", leastServed: 512, family: "pwritev"),
        Way(call: "write", threads: "one", leastServed: 512, family: "write"),
        Way(call: "write", threads: "two", leastServed: 512, family: "write"),
        Way(call: "writev", threads: "one", leastServed: 512, family: "writev"),
    ]
    static let states = ["plain", "appending", "reading", "writing", "synchronous", "punched", "limited"]
    // A negative offset is for pwrite only: the C face hands the vectored call to libc at once, and the file offset has
    // no such place.
    static let places = ["in the middle", "last page", "at the end", "across the end", "negative"]

    @Test("in each state of the file and at each place in it", arguments: [Kind.tmpfs, .tmpfsHuge, .ext4], others)
    func decidesTheSame(kind: Kind, way: Way) throws {
        let mount = try ScratchMount(kind)
        defer { mount.close() }
        for state in Self.states {
            for place in Self.places where place != "negative" || way.family == "pwrite" {
                let expected = try Self.decided(Self.general, state, place, least: way.leastServed, on: mount)
                let found = try Self.decided(way, state, place, least: way.leastServed, on: mount)
                // The short way of an append does not ask whether the engine has given way: that would cost every
                // append two instructions, and the kernel does the call either way. Its reason is then the file's end.
                if way.call == "write", state == "limited", place == "at the end" {
                    #expect(found["served"] == nil)
                    continue
                }
                #expect(found == expected, "\(state), \(place)")
                guard state == "plain", place == "in the middle", kind != .tmpfsHuge else { continue }
                #expect(expected["served"] ?? 0 > 0)
            }
        }
    }

    /// Calls by outcome. The first served write of each clock tick is done by the kernel, for the time stamps: how many
    /// those are is a matter of time, so they count as served.
    static func decided(
        _ way: Way, _ state: String, _ place: String, least: Int, on mount: ScratchMount
    ) throws -> [String: Int] {
        let result = try run(
            Programs.path("write-decision"), [mount.directory, way.call, way.threads, state, place, String(least)],
            preload: true, mounts: [mount.item])
        #expect(result.ending == .exited(0), "\(result.stderr)")
        var outcomes = result.counts.calls[way.family] ?? [:]
        outcomes["served", default: 0] += outcomes.removeValue(forKey: "tick") ?? 0
        return outcomes.filter { $0.value > 0 }
    }
}

/// A choice of the same, as programs take their time in that machine.
@Suite("On DAX, too, every way through the engine decides the same about a write")
struct WriteDecisionsInsideTests {
    @Test(
        "in the middle of the file and at its end, with O_DSYNC and without",
        .enabled(if: ScratchMount.Kind.ext4DAX.unavailability == nil), arguments: ["plain", "synchronous"])
    func decidesTheSame(state: String) throws {
        let mount = try ScratchMount(.ext4DAX)
        defer { mount.close() }
        for place in ["in the middle", "at the end"] {
            var expected: [Int: [String: Int]] = [:]
            for way in DecisionTests.others where way.threads == "one" && way.call != "number" {
                let least = way.leastServed
                if expected[least] == nil { expected[least] = try decided(DecisionTests.general, state, place, least) }
                let found = try decided(way, state, place, least)
                #expect(found == expected[least], "\(way), \(place)")
                #expect((found["served"] != nil) == (place == "in the middle"))
            }
        }

        /// Whether the kernel syncs a file for less than we do is learnt from what syncs have cost (`SyncCost`). That
        /// is a matter of time, so calls that are left to it for that reason count as served.
        func decided(_ way: DecisionTests.Way, _ state: String, _ place: String, _ least: Int) throws -> [String: Int] {
            var outcomes = try DecisionTests.decided(way, state, place, least: least, on: mount)
            if state == "synchronous" { outcomes["served", default: 0] += outcomes.removeValue(forKey: "cold") ?? 0 }
            return outcomes.filter { $0.value > 0 }
        }
    }
}
