import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What is learnt of a file and its mount may change afterwards (Tests/Programs/changing-mounts.c).
@Suite("What is learnt once may change")
struct ChangingMountTests {
    private func onlyRoot() throws { if geteuid() != 0 { try Test.cancel("only root can mount") } }

    /// The program mounts a tmpfs of its own, and remounts it.
    private func expectSameWhereItMounts(_ program: String, _ name: String, _ mapAfter: Int?) throws {
        try onlyRoot()
        let scratch = try ScratchDirectory()
        try expectSameAsNative(
            program, name, on: .tmpfs, serving: ["pread", "pwrite"], mapAfter: mapAfter,
            environment: ["MOUNT_POINT": scratch.path, "PMEMSHIM_MOUNTS": scratch.path])
    }

    @Test("another process has the file collapsed into a huge page and cuts it", arguments: [0, nil])
    func collapsed(mapAfter: Int?) throws {
        try expectSameAsNative(
            "changing-mounts", "collapsed", on: .tmpfs, serving: ["pread"], mapAfter: mapAfter)
    }

    @Test("a tmpfs gets huge pages after it was looked at", arguments: [0, nil])
    func remounted(mapAfter: Int?) throws {
        try expectSameWhereItMounts("changing-mounts", "remounted", mapAfter)
    }

    @Test("a tmpfs that gets huge=always keeps what is written later in larger pieces", arguments: [0, nil])
    func extended(mapAfter: Int?) throws {
        try expectSameWhereItMounts("joined-pages", "extended", mapAfter)
    }

    @Test("a file is cut and regrown on a tmpfs that has got huge=always", arguments: [0, nil])
    func regrown(mapAfter: Int?) throws {
        try expectSameWhereItMounts("joined-pages", "regrown", mapAfter)
    }

    @Test("a mount that nobody named gets the number of one that was")
    func numbersUsedAgain() throws {
        try onlyRoot()
        let named = try ScratchDirectory()
        let other = try ScratchDirectory()
        let log = try ScratchDirectory()
        try expectSameAsNative(
            "changing-mounts", "numbers-used-again", on: .tmpfs, serving: ["pread"],
            environment: [
                "MOUNT_POINT": named.path, "OTHER": other.path, "PMEMSHIM_MOUNTS": named.path,
                "PMEMSHIM_LOG": "\(log.path)/log",
            ])
        let lines = try String(contentsOfFile: "\(log.path)/log", encoding: .utf8)
        #expect(lines.contains(named.path))
        #expect(!lines.contains(other.path))
    }

    @Test("sealed memory files are no files of any directory, not even of the root", arguments: [0, nil])
    func sealed(mapAfter: Int?) throws {
        try expectSameAsNative(
            "changing-mounts", "sealed", on: .tmpfs, serving: [], mapAfter: mapAfter,
            environment: ["PMEMSHIM_MOUNTS": "/"])
    }

    @Test("mount -o sync and chattr +S, before the file is learnt and afterwards", arguments: [0, nil])
    func synchronous(mapAfter: Int?) throws {
        try onlyRoot()
        try skipIfUnavailable(.ext4)
        try expectSynchronous(on: .ext4, mapAfter: mapAfter)
    }

    @Test("a file system that was shut down serves nothing once it has refused a write", arguments: [0, nil])
    func shutDown(mapAfter: Int?) throws {
        try onlyRoot()
        try skipIfUnavailable(.ext4)
        try expectNothingAfterShutdown(on: .ext4, mapAfter: mapAfter)
    }
}

/// The same on the machine's DAX mounts. Nothing else may use these meanwhile: a step of its own
/// (scripts/lib/inside.sh).
@Suite("What is learnt once may change, on DAX", .serialized, .enabled(if: Machine.isInside))
struct InsideChangingMountTests {
    @Test("mount -o sync and chattr +S", arguments: ScratchMount.Kind.served, [0, nil])
    func synchronous(kind: ScratchMount.Kind, mapAfter: Int?) throws {
        try expectSynchronous(on: kind, mapAfter: mapAfter)
    }

    @Test("a file system that was shut down", arguments: ScratchMount.Kind.served, [0, nil])
    func shutDown(kind: ScratchMount.Kind, mapAfter: Int?) throws {
        try expectNothingAfterShutdown(on: kind, mapAfter: mapAfter)
    }
}

/// The file system that a mount lies on: its device and its mount point.
private func place(of mount: ScratchMount) throws -> (device: String, point: String) {
    let words = try LibrarySymbols.output(
        "/usr/bin/findmnt", ["--noheadings", "--output", "SOURCE,TARGET", "--target", mount.directory]
    ).split(whereSeparator: \.isWhitespace)
    try #require(words.count == 2)
    return (String(words[0]), String(words[1]))
}

private func expectSynchronous(on kind: ScratchMount.Kind, mapAfter: Int?) throws {
    let mount = try ScratchMount(kind)
    let place = try place(of: mount)
    let environment = ["MOUNT_POINT": place.point, "DEVICE": place.device]
    for preload in [false, true] {
        let result = try mount.withDirectory("\(preload)") {
            try run(
                Programs.path("changing-mounts"), ["synchronous", $0], environment: environment, preload: preload,
                mounts: [mount.item], mapAfter: mapAfter)
        }
        #expect(result.ending == .exited(0), "\(result.stderr)")
        #expect(result.lines.filter { $0.hasSuffix(": 0 not on the device") }.count == 3, "\(result.stdout)")
        if preload { #expect(result.counts.served("pread") > 0) }
    }
}

private func expectNothingAfterShutdown(on kind: ScratchMount.Kind, mapAfter: Int?) throws {
    for preload in [false, true] {
        let mount = try ScratchMount(kind)
        let place = try place(of: mount)
        let result = try run(
            Programs.path("changing-mounts"), ["shut-down", mount.directory], preload: preload,
            mounts: [mount.item], mapAfter: mapAfter)
        #expect(result.ending == .exited(0), "\(result.stderr)")
        #expect(result.lines.first == "acknowledged after the shutdown: 0 writes, then 0 reads")
        if preload { #expect(result.counts.served("pread") > 0) }
        if kind == .ext4 { continue }
        // The machine's own file system is made whole again: the journal is replayed.
        for command in [["umount", place.point], ["mount", "-o", "dax=always", place.device, place.point]] {
            let mended = try spawn("/usr/bin/\(command[0])", Array(command.dropFirst()))
            #expect(mended.ending == .exited(0), "\(mended.stderr)")
        }
    }
}
