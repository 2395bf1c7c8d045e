import Foundation
import TestSupport
import Testing

/// `scripts/device-fs`, one file system at a time.
@Suite("File systems on an attached device", .serialized) struct FileSystemTests {
    @Test(
        "create, attach, mkfs, mount, work under the shim, fsck clean, attached again the same, superblock put back",
        arguments: ["ext2", "ext4", "xfs", "btrfs", "f2fs", "vfat"])
    func wholeLife(system: String) throws {
        var variables = ProcessInfo.processInfo.environment
        variables["PMEMSHIM_LIBRARY"] = try Shim.library
        variables["PMEMSHIM_SHIMCTL"] = try Shim.shimctl
        let run = try spawn(
            "/usr/bin/bash", ["\(Shim.packageRoot)/scripts/device-fs", "--no-build", system], environment: variables,
            timeout: .seconds(300))
        #expect(run.ending == .exited(0) || run.ending == .exited(77), "\(run.stdout)\(run.stderr)")
        if run.stdout.contains("skipped: ") {
            print("scripts/device-fs: \(run.stdout)", terminator: "")
            try Test.cancel(Comment(rawValue: run.stdout))
        }
        #expect(run.stdout.hasPrefix(system))
        #expect(run.stdout.contains(" ok: "))
    }
}
