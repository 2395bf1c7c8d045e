import Foundation
import TestSupport
import Testing

/// Sequences that once showed a difference, each as short as the exerciser could make it, its first line telling what
/// was wrong. Seeds lose their meaning when the generator changes; these do not.
private let found: [String] = {
    let folder = "\(Shim.packageRoot)/Tests/Programs/exerciser/found"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasSuffix(".ops") }.sorted().map { "\(folder)/\($0)" }
}()

@Suite("What the exerciser once found stays mended")
struct FoundTests {
    @Test("there are sequences to replay")
    func thereAreSome() {
        #expect(!found.isEmpty)
    }

    @Test("each shows no difference", arguments: found, [ScratchMount.Kind.tmpfs, .tmpfsHuge, .ext4])
    func mended(file: String, kind: ScratchMount.Kind) throws {
        try skipIfUnavailable(kind)
        // Lengths and seeds are the file's own.
        let exercise = Exercise(
            kind: kind, firstSeed: 1, sequences: 1, length: 1, options: ["--times", "--no-minimise", "--quiet"],
            ownMount: true)
        let exercised = try exercise.perform(load: file)
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.operations > 0)
        #expect(exercised.differences == 0)
    }
}
