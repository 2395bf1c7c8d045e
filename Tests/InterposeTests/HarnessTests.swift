import Foundation
import TestSupport
import Testing

@Suite("The harness itself")
struct HarnessTests {
    @Test func aProgramsOutputsAndExitStatusAreReported() throws {
        let result = try run(
            "/bin/sh", ["-c", "cat; echo oops >&2; exit 3"], preload: false, stdin: Array("in\n".utf8))
        #expect(result.stdout == "in\n")
        #expect(result.stderr == "oops\n")
        #expect(result.ending == .exited(3))
    }

    @Test func aKillingSignalIsReported() throws {
        #expect(try run("/bin/sh", ["-c", "kill -SEGV $$"], preload: false).ending == .signalled(SIGSEGV))
    }

    @Test func aProgramThatDoesNotEndIsKilledWithItsChildren() throws {
        let result = try run("/bin/sh", ["-c", "sleep 1000 & sleep 1000"], preload: false, timeout: .milliseconds(300))
        #expect(result.ending == .timedOut)
    }

    @Test func aMegabyteInIsAMegabyteOut() throws {
        let bytes = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try run("/bin/cat", [], preload: false, stdin: bytes).output == bytes)
    }

    @Test(arguments: ScratchMount.Kind.allCases)
    func aScratchMountIsWritableAndGoneAfterClose(kind: ScratchMount.Kind) throws {
        try skipIfUnavailable(kind)
        let mount = try ScratchMount(kind)
        try "bytes".write(toFile: mount.path("file"), atomically: false, encoding: .utf8)
        #expect(try String(contentsOfFile: mount.path("file"), encoding: .utf8) == "bytes")
        mount.close()
        #expect(!FileManager.default.fileExists(atPath: mount.directory))
    }

    @Test func noStatisticsFileMeansNothingServed() throws {
        #expect(try ServedCounts.read(runtimeDirectory: "/nonexistent") == ServedCounts())
    }
}

/// Ends the test as cancelled, with the reason, where this kind of mount cannot be had: never as passed.
func skipIfUnavailable(_ kind: ScratchMount.Kind) throws {
    if let reason = kind.unavailability { try Test.cancel(Comment(rawValue: reason)) }
}
