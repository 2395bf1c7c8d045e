import TestSupport
import Testing

/// What every run of the suite exercises. Seeds are fixed, so that a change that breaks one breaks it every time.
private let plan: [Exercise] = [
    Exercise(kind: .tmpfs, firstSeed: 1, sequences: 30, length: 3000),
    Exercise(kind: .tmpfs, firstSeed: 1000, sequences: 6, length: 3000, options: ["--libc-reference"]),
    Exercise(kind: .tmpfs, firstSeed: 2000, sequences: 6, length: 3000, options: ["--times"]),
    Exercise(kind: .tmpfs, firstSeed: 3000, sequences: 8, length: 3000, mapAfter: 24),
    // Files of less than a huge page are the kernel's there.
    Exercise(kind: .tmpfsHuge, firstSeed: 4000, sequences: 6, length: 3000, isServed: false),
    Exercise(kind: .tmpfsHuge, firstSeed: 5000, sequences: 14, length: 1000, options: ["--huge"]),
    Exercise(kind: .ext4, firstSeed: 6000, sequences: 18, length: 3000),
    Exercise(kind: .ext4, firstSeed: 7000, sequences: 3, length: 3000, options: ["--times"]),
    Exercise(kind: .ext4, firstSeed: 8000, sequences: 4, length: 1000, mapAfter: nil, options: ["--huge"]),
]

/// Every run also takes one sequence of each kind that no run took before.
private let fresh = UInt64.random(in: 1_000_000..<1_000_000_000)

@Suite("Random operations give the same with the shim and without it", .serialized)
struct DifferenceTests {
    @Test("step by step, whatever the file system and the mode", arguments: plan)
    func fixedSeeds(exercise: Exercise) throws {
        try expectNoDifference(exercise, tenths: 9, served: 0.2)
    }

    @Test("also with a seed nobody has tried before", arguments: [ScratchMount.Kind.tmpfs, .tmpfsHuge, .ext4])
    func freshSeed(kind: ScratchMount.Kind) throws {
        print("exerciser: fresh seed \(fresh) on \(kind)")
        let options = kind == .tmpfsHuge ? ["--huge"] : []
        let exercise = Exercise(kind: kind, firstSeed: fresh, sequences: 2, length: 1000, options: options)
        try expectNoDifference(exercise, tenths: 5, served: 0.01)
    }

    @Test("two hundred thousand operations are planned, those left out not counted")
    func theyAreMany() {
        // Each exercise is held to nine tenths of its plan.
        #expect(plan.reduce(0) { $0 + $1.operations } * 9 / 10 >= 200_000)
    }

    /// - Parameter tenths: how much of the planned operations must have been done; the rest was left out because files
    ///   would have grown too large, or because the operation has no defined outcome.
    /// - Parameter served: the share of calls that must have been served; one seed alone may lean to what never is.
    private func expectNoDifference(_ exercise: Exercise, tenths: Int, served: Double) throws {
        try skipIfUnavailable(exercise.kind)
        let exercised = try exercise.perform()
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 0)
        #expect(exercised.operations >= exercise.operations * tenths / 10)
        guard exercise.isServed else { return }
        // Equal because the kernel did it all would prove nothing.
        #expect(exercised.servedShare > served, "\(exercised.run.counts.calls)")
    }
}
