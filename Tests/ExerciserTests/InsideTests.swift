import TestSupport
import Testing

/// What `scripts/test --inside` exercises in the machine of `scripts/dax-vm`, where an operation takes ten times as
/// long.
private let plan: [Exercise] = [ScratchMount.Kind.ext4DAX, .xfsDAX].flatMap { kind in
    [
        Exercise(kind: kind, firstSeed: 1, sequences: 3, length: 1000),
        Exercise(kind: kind, firstSeed: 1000, sequences: 1, length: 1000, mapAfter: nil, options: ["--huge"]),
        Exercise(kind: kind, firstSeed: 2000, sequences: 1, length: 1000, options: ["--modes", "all"]),
    ]
}

@Suite("Random operations on DAX give the same with the shim and without it", .enabled(if: Machine.isInside))
struct InsideExerciserTests {
    @Test("step by step, also with threads, processes, kills and faults", arguments: plan)
    func fixedSeeds(exercise: Exercise) throws {
        let exercised = try exercise.perform()
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 0)
        #expect(exercised.operations >= exercise.operations * 5 / 10)
        #expect(exercised.servedShare > 0.02, "\(exercised.run.counts.calls)")
    }
}
