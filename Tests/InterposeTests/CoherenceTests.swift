import Foundation
import TestSupport
import Testing

@Suite("A program with the shim and others without it on one file at the same time")
struct CoherenceTests {
    typealias Kind = ScratchMount.Kind

    @Test("bytes are there at once, both ways, and in the order they were written", arguments: Kind.served)
    func callsAndCalls(kind: Kind) throws {
        try expectSameAsNative(
            "coherence-bytes", "calls-and-calls", on: kind, serving: ["pread", "read", "pwrite", "write"])
    }

    @Test("one with calls, the other with a mapping", arguments: Kind.served)
    func callsAndAMapping(kind: Kind) throws {
        try expectSameAsNative(
            "coherence-bytes", "calls-and-a-mapping", on: kind, serving: ["pread", "read", "pwrite", "write"])
    }

    @Test("a mapping under the shim, calls without it", arguments: Kind.served)
    func aMappingAndCalls(kind: Kind) throws {
        try expectSameAsNative("coherence-bytes", "a-mapping-and-calls", on: kind, serving: ["pread"])
    }

    @Test("sizes, whoever changes them", arguments: Kind.served)
    func sizes(kind: Kind) throws {
        try expectSameAsNative("coherence-bytes", "sizes", on: kind, serving: ["pread"])
    }
}

@Suite("Programs that go by times, sizes and events see what they would see without the shim")
struct CoherentTimesTests {
    typealias Kind = ScratchMount.Kind

    @Test("make builds what was written, and only then", arguments: Kind.served)
    func make(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "made-by-make", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("rsync copies what was written, and only then", arguments: Kind.served)
    func rsync(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "synchronised-by-rsync", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("tar compares, packs what is newer, and unpacks beside an open file", arguments: Kind.served)
    func tar(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "packed-by-tar", on: kind, serving: ["pread", "pwrite"])
    }

    @Test(
        "times set by touch -d and cp -p stay until the next write, whatever is read, synced or closed",
        arguments: Kind.served)
    func touched(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "touched", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("times that the writer itself sets stay, as cp -p and tar -x need it", arguments: Kind.served)
    func setByTheWriter(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "set-by-the-writer", on: kind, serving: ["pread", "pwrite"])
    }

    @Test(
        "set-user-id bits and file capabilities that another program has set fall with the next write",
        arguments: Kind.served)
    func bitsTaken(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "bits-taken", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("files are stamped with the times of ticks, as long as nobody asks for their times", arguments: Kind.served)
    func ticks(kind: Kind) throws {
        try expectSameAsNative("coherence-times", "stamped-with-ticks", on: kind, serving: ["pread"])
    }

    @Test("inotify: modified, attributes, opened, closed", arguments: Kind.served)
    func inotify(kind: Kind) throws {
        try expectSameAsNative("coherence-events", "watched-by-inotify", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("fanotify: modified, opened, closed", arguments: Kind.served)
    func fanotify(kind: Kind) throws {
        if geteuid() != 0 { try Test.cancel("only root may watch with fanotify") }
        try expectSameAsNative("coherence-events", "watched-by-fanotify", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("tail -f follows", arguments: Kind.served)
    func tail(kind: Kind) throws {
        try expectSameAsNative("coherence-events", "followed-by-tail", on: kind, serving: ["pread"])
    }
}

@Suite("Two users: rights are the kernel's")
struct CoherentUsersTests {
    typealias Kind = ScratchMount.Kind

    private func expectSame(_ testCase: String, _ kind: Kind) throws {
        if geteuid() != 0 { try Test.cancel("only root can become another user") }
        try expectSameAsNative("coherence-users", testCase, on: kind, serving: ["pread", "pwrite"])
    }

    @Test("a file served in its owner's process gives another user what its mode says", arguments: Kind.served)
    func ofAnotherUser(kind: Kind) throws { try expectSame("of-another-user", kind) }

    @Test("descriptors that are inherited, kept over setresuid or received give what they give", arguments: Kind.served)
    func withDescriptorsOfRoot(kind: Kind) throws { try expectSame("with-descriptors-of-root", kind) }

    @Test("a process that changes its user to and fro", arguments: Kind.served)
    func toAndFro(kind: Kind) throws { try expectSame("to-and-fro", kind) }

    @Test("a runtime directory that another user owns is left alone, and files are served without it")
    func foreignRuntimeDirectory() throws {
        if geteuid() != 0 { try Test.cancel("only root can become another user") }
        let files = try ServedFiles(.tmpfs, "file")
        _ = try spawn("/bin/chmod", ["666", files.mount.path("file")])
        _ = try spawn("/bin/chmod", ["755", "\(files.mount.directory)/.."])
        for mode in ["0700", "0777"] {
            let foreign = try ScratchDirectory()
            let log = try ScratchDirectory()
            _ = try spawn("/bin/chmod", [mode, foreign.path])
            chown(foreign.path, 65533, 65533)
            chown(log.path, 65534, 65534)
            _ = try files.read(
                files.mount.path("file"), mounts: files.mount.directory,
                environment: ["PMEMSHIM_LOG": "\(log.path)/log"], runtimeDirectory: foreign.path, user: 65534)
            #expect(try FileManager.default.contentsOfDirectory(atPath: foreign.path) == [])
            let said = try String(contentsOfFile: "\(log.path)/log", encoding: .utf8)
            #expect(said.contains("served \(files.mount.path("file"))"), "\(said)")
        }
    }

    @Test("the statistics are their user's alone, and a link in their place is not followed")
    func statisticsStayPrivate() throws {
        if geteuid() != 0 { try Test.cancel("only root can become another user") }
        let files = try ServedFiles(.tmpfs, "file")
        _ = try spawn("/bin/chmod", ["666", files.mount.path("file")])
        _ = try spawn("/bin/chmod", ["755", "\(files.mount.directory)/.."])
        let parent = try ScratchDirectory()
        chown(parent.path, 65534, 65534)
        let directory = "\(parent.path)/runtime"
        let run = try files.read(
            files.mount.path("file"), mounts: files.mount.directory, runtimeDirectory: directory, user: 65534)
        #expect(run.counts.served() > 30)
        let modes = try spawn("/usr/bin/stat", ["-c", "%a %u", directory, "\(directory)/stats"])
        #expect(modes.stdout == "700 65534\n600 65534\n")

        let victim = try ScratchDirectory()
        try "precious".write(toFile: "\(victim.path)/stats", atomically: false, encoding: .utf8)
        let links = try ScratchDirectory()
        try FileManager.default.createSymbolicLink(
            atPath: "\(links.path)/stats", withDestinationPath: "\(victim.path)/stats")
        _ = try files.read(
            files.mount.path("file"), mounts: files.mount.directory,
            environment: ["PMEMSHIM_RUNTIME_DIR": links.path])
        #expect(try String(contentsOfFile: "\(victim.path)/stats", encoding: .utf8) == "precious")
    }
}
