import Foundation
import TestSupport
import Testing

@Suite("Devices that are full, read-only or broken")
struct FaultDeviceTests {
    typealias Kind = ScratchMount.Kind

    private func expectSame(_ testCase: String, _ kind: Kind, mebibytes: Int = 48) throws {
        if geteuid() != 0 { try Test.cancel("only root can mount and break file systems") }
        try expectSameAsNative(
            "faults-devices", testCase, on: kind, serving: ["pread", "pwrite"], mebibytes: mebibytes,
            onWholeFileSystem: true)
    }

    @Test("another program punches a hole into what is served and takes the space", arguments: Kind.served)
    func holeMadeByAnother(kind: Kind) throws { try expectSame("hole-made-by-another", kind, mebibytes: 20) }

    @Test("a remount to read-only is refused and done as it would be", arguments: Kind.served)
    func remountedReadOnly(kind: Kind) throws { try expectSame("remounted-read-only", kind) }

    @Test("what was served and is closed does not keep a file system from being unmounted")
    func unmountedWhenClosed() throws { try expectSame("unmounted-when-closed", .ext4) }

    @Test("a file system that stops itself after an error")
    func abortedFileSystem() throws { try expectSame("aborted-file-system", .ext4) }

    @Test("media errors give EIO and the kernel's counts, and nothing else is disturbed")
    func brokenMedia() throws { try expectSame("broken-media", .ext4, mebibytes: 64) }

    @Test("a page with a media error is remembered: later reads of it do not fault again")
    func badPagesAreRemembered() throws {
        if geteuid() != 0 { try Test.cancel("only root can mount and break file systems") }
        let mount = try ScratchMount(.ext4, mebibytes: 64)
        let result = try mount.withDirectory("shimmed") {
            try run(
                Programs.path("faults-devices"), ["broken-media", $0], preload: true, mounts: ["\($0):pagecache"])
        }
        #expect(result.ending == .exited(0), "\(result.stderr)")
        // Reads of it that come back with EIO: more than two hundred. Faults: one for each place that is tried first.
        #expect(result.counts.faults > 0)
        #expect(result.counts.faults < 60, "\(result.counts.faults)")
    }

    @Test("when written bytes cannot reach the device, fsync says so as often as it would")
    func writebackFails() throws { try expectSame("writeback-fails", .ext4) }
}
