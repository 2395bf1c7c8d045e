import Foundation
import TestSupport
import Testing

@Suite("The exerciser finds what is wrong and shortens it")
struct SabotageTests {
    /// Defects of the kinds a shim may have; `exerciser --help` tells what each one does.
    static let defects = [
        "flip-byte", "lost-offset", "stale-size", "foreign-file", "lost-byte", "wrong-errno", "no-append",
        "kept-window", "kept-lock", "lost-time", "crash",
    ]

    static let kinds: [ScratchMount.Kind] = [.tmpfs, .tmpfsHuge, .ext4]

    private func exercise(_ defect: String) -> Exercise {
        Exercise(
            kind: .tmpfs, firstSeed: 1, sequences: 20, length: 3000,
            options: ["--quiet"] + (defect == "lost-time" ? ["--times"] : []))
    }

    @Test("a defect is found, and a handful of operations is left that shows it", arguments: defects)
    func found(defect: String) throws {
        let scratch = try ScratchDirectory()
        let file = "\(scratch.path)/sequence"
        let exercised = try exercise(defect).perform(preload: false, sabotage: defect, save: file)
        #expect(exercised.run.ending == .exited(1), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 1)
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        let operations = lines.filter { !$0.hasPrefix("#") && !$0.hasPrefix("seed=") }
        #expect((1...10).contains(operations.count), "\(lines.joined(separator: "\n"))")

        let again = try exercise(defect).perform(preload: false, sabotage: defect, load: file)
        #expect(again.run.ending == .exited(1), "the shortened sequence shows it no more:\n\(again.run.stdout)")
        let healthy = try exercise(defect).perform(preload: false, load: file)
        #expect(healthy.run.ending == .exited(0), "it is not the defect that it shows:\n\(healthy.run.stdout)")
    }

    @Test("without a shim and without a defect nothing differs", arguments: kinds)
    func nothingFoundWhereNothingIsWrong(kind: ScratchMount.Kind) throws {
        try skipIfUnavailable(kind)
        let exercised = try Exercise(kind: kind, firstSeed: 1, sequences: 3, length: 3000).perform(preload: false)
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 0)
    }

    @Test("a seed always gives the same sequence")
    func deterministic() throws {
        let program = try Programs.path("exerciser")
        let arguments = ["--print", "--seed", "7", "--ops", "2000"]
        let first = try run(program, arguments, preload: false)
        let second = try run(program, arguments, preload: false)
        #expect(first.lines.count > 2000)
        #expect(first.output == second.output)
        #expect(try run(program, ["--print", "--seed", "8", "--ops", "2000"], preload: false).output != first.output)
    }

    @Test("a sequence is the same after a round through its text")
    func roundTrip() throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.path("exerciser")
        let printed = try run(program, ["--print", "--seed", "9", "--ops", "3000"], preload: false)
        try Data(printed.output).write(to: URL(filePath: "\(scratch.path)/sequence"))
        let again = try run(program, ["--print", "--load", "\(scratch.path)/sequence"], preload: false)
        #expect(again.output == printed.output)
    }
}
