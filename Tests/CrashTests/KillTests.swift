import Foundation
import TestSupport
import Testing

/// Writers are killed by SIGKILL at random points of random workloads, on their own, with threads, several on the same
/// files, and in a forked family. `scripts/crash kill9` does the same a thousand times.
@Suite("kill -9 takes nothing that was acknowledged", .serialized)
struct KillTests {
    static let kinds: [ScratchMount.Kind] = [.tmpfs, .tmpfsHuge, .ext4]

    @Test(
        "acknowledged writes are in the file, small ones whole; others go on, statistics answer, a new start is clean",
        arguments: zip(kinds, [36, 12, 12]))
    func killed(kind: ScratchMount.Kind, kills: Int) throws {
        if let reason = kind.unavailability { try Test.cancel(Comment(rawValue: reason)) }
        let killed = try KillNine(on: kind, kills: kills, seed: UInt64(kills), preload: true)
        #expect(killed.run.ending == .exited(0), "\(killed.run.stdout)\(killed.run.stderr)")
        #expect(killed.counts["kills"] == kills)
        #expect(killed.counts["lost"] == 0)
        #expect(killed.counts["torn"] == 0)
        #expect(killed.counts["hangs"] == 0)
        // Otherwise the kernel would have been tested, or nothing.
        #expect(killed.counts["checked"] ?? 0 > 100 * kills)
        #expect(killed.servedWrites > 100 * kills, "\(killed.run.stdout)")
        #expect(killed.answers.count >= kills / 8)
        for answer in killed.answers {
            let document = try JSONSerialization.jsonObject(with: answer) as? [String: Any]
            #expect(document?["schema"] as? String == "pmemshim.stats/1")
        }
    }

    @Test("without the shim nothing is lost either, and no write ends inside a page")
    func native() throws {
        let killed = try KillNine(on: .tmpfs, kills: 16, seed: 5, preload: false)
        #expect(killed.run.ending == .exited(0), "\(killed.run.stdout)\(killed.run.stderr)")
        #expect(killed.counts["kills"] == 16)
        // absent/whole/to a page/in a page, gaps
        let all = killed.run.lines.first { $0.hasPrefix("all ") } ?? ""
        #expect(all.hasSuffix("/0, 0"), "\(killed.run.stdout)")
    }

    /// Defects of a writer, which must be found: the same finds the same defect in the shim.
    @Test(
        "a writer that acknowledges early, loses, tears or holds a lock is found",
        arguments: [
            ("acknowledge-early", "lost"), ("lose-some", "lost"), ("split-small", "torn"), ("hold-lock", "hangs"),
        ])
    func sabotage(defect: String, count: String) throws {
        let killed = try KillNine(
            on: .tmpfs, kills: 120, seed: 1, preload: false, options: ["--sabotage", defect, "--patience", "1"])
        #expect(killed.run.ending == .exited(1), "\(killed.run.stdout)\(killed.run.stderr)")
        #expect(killed.counts[count] ?? 0 > 0, "\(killed.run.stdout)")
    }

    @Test("a seed gives the same victims at the same points again")
    func replay() throws {
        func trace() throws -> [Substring] {
            try KillNine(on: .plain, kills: 9, seed: 77, preload: false, options: ["--trace"])
                .run.lines.filter { $0.hasPrefix("77 ") || $0.hasPrefix("78 ") }
        }
        let first = try trace()
        #expect(first.count == 9)
        #expect(try trace() == first)
    }
}
