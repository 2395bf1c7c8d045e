import Foundation
import TestSupport
import Testing

@Suite("Hosts with another libc, or with functions of their own under libc's names")
struct HostTests {
    @Test("a musl program does under the shim what it does without, and nothing of it is served")
    func musl() throws {
        let mount = try ScratchMount(.tmpfs)
        let program = try Programs.path("host-musl")
        let native = try mount.withDirectory("native") { try run(program, [$0], preload: false) }
        let runtime = try ScratchDirectory()
        defer { runtime.close() }
        let shimmed = try mount.withDirectory("shimmed") {
            try run(program, [$0], preload: true, mounts: [mount.item], runtimeDirectory: "\(runtime.path)/own")
        }
        #expect(native.ending == .exited(0), "\(native.stderr)")
        #expect(shimmed.ending == native.ending, "\(shimmed.stderr)")
        if let difference = firstDifference(native.lines, shimmed.lines) { Issue.record(difference) }
        #expect(shimmed.stderr == native.stderr)
        // The engine has not even begun: glibc's programs that this one starts use no file of the mount.
        #expect(!FileManager.default.fileExists(atPath: "\(runtime.path)/own/stats"))
    }

    /// Where the library of the other clock stands.
    enum Place: CaseIterable { case inFront, behind }

    @Test("file times move in every clock tick though clock_gettime stands still", arguments: Place.allCases)
    func frozenClock(place: Place) throws {
        try expectTimesMove(
            under: "\(Programs.directory)/frozen-clock-library.so", place, environment: [:], says: "stands still")
    }

    @Test("and under libfaketime", arguments: Place.allCases)
    func faketime(place: Place) throws {
        let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
        try #require(FileManager.default.fileExists(atPath: library), "scripts/setup installs it")
        try expectTimesMove(
            under: library, place, environment: ["FAKETIME": "2000-01-01 00:00:00"], says: "stands still")
    }

    private func expectTimesMove(
        under library: String, _ place: Place, environment: [String: String], says clock: String
    ) throws {
        let mount = try ScratchMount(.tmpfs)
        let program = try Programs.path("clock-ticks")
        let native = try mount.withDirectory("native") {
            try run(
                program, ["overwrites", $0], environment: environment.merging(["LD_PRELOAD": library]) { $1 },
                preload: false)
        }
        let preload = try place == .inFront ? "\(library):\(Shim.preload)" : "\(Shim.preload):\(library)"
        let shimmed = try mount.withDirectory("shimmed") {
            try run(
                program, ["overwrites", $0], environment: environment.merging(["LD_PRELOAD": preload]) { $1 },
                preload: true, mounts: [mount.item])
        }
        #expect(native.stdout.contains("moved in 20 rounds of 20"), "\(native.stdout) \(native.stderr)")
        #expect(native.stdout.contains("the clock \(clock)"))
        #expect(shimmed.stdout == native.stdout)
        #expect(shimmed.ending == native.ending, "\(shimmed.stderr)")
        #expect(shimmed.counts.served("pwrite") > 0)
    }
}
