import Foundation
import TestSupport
import Testing

/// Programs as they are, of which a sanitizer's runtime would have to be the first library.
private let isPlain = ProcessInfo.processInfo.environment["PMEMSHIM_PRELOAD_FIRST"] == nil

/// `Tests/Programs/vandal` (docs/vandal.md): programs of every kind beside somebody who damages the shim's own files.
@Suite("Whatever becomes of the shim's own files, no program comes to harm", .serialized, .enabled(if: isPlain))
struct VandalTests {
    /// What this suite does in half a minute, `vandal --seconds 600` does for ten.
    @Test("programs of every kind say what they say natively, and end as they do")
    func vandal() throws {
        let run = try siege(library: Shim.library, seconds: 25)
        #expect(run.ending == .exited(0), "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.contains(", 0 failed (0 killed by a signal, 0 without an end)"))
    }

    @Test("it finds a library that counts in such a file by plain stores")
    func itFinds() throws {
        let run = try siege(library: "\(Programs.directory)/plain-count-library.so", seconds: 10)
        #expect(run.ending == .exited(1), "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.contains("failure: "))
    }

    /// With one that has nothing to do with the runtime directory.
    @Test("the damage does no harm by itself: what it finds is the library's")
    func itFindsNothingElse() throws {
        let run = try siege(library: "\(Programs.directory)/stale-library.so", seconds: 8)
        #expect(run.ending == .exited(0), "\(run.stdout)\(run.stderr)")
    }

    /// A library that finds no room for its figures leaves room for the programs that want it.
    @Test("thousands of short programs leave a small /dev/shm to others")
    func shortPrograms() throws {
        let run = try run(
            Programs.path("short-programs"), ["--library", Shim.library, "--programs", "2000"], preload: false,
            timeout: .seconds(120))
        if run.ending == .exited(77) { try Test.cancel("this user may not mount") }
        #expect(run.ending == .exited(0), "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.contains("2000 programs leave"))
    }

    private func siege(library: String, seconds: Int) throws -> Run {
        let seed = UInt64.random(in: 1..<1_000_000)
        print("vandal: seed \(seed)")
        // The native runs before it, and a watchdog of a minute for each program after it.
        let run = try run(
            Programs.path("vandal"), ["--library", library, "--seconds", "\(seconds)", "--seed", "\(seed)"],
            preload: false, timeout: .seconds(300))
        if run.ending == .exited(77) { try Test.cancel("this user may not mount") }
        return run
    }
}
