import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// The shim's own files are filled, cut, limited, leased and replaced, and the program must not notice: the native run
/// is the reference (Tests/Programs/runtime-files.c).
@Suite("Our own files harm no host")
struct RuntimeFileTests {
    /// Runs a case with the runtime directory on a tmpfs of its own, of `mebibytes` MiB.
    private func expectUnharmed(
        _ testCase: String, mebibytes: Int = 4, mapAfter: Int? = 0,
        prepare: (_ runtime: String) throws -> Void = { _ in },
        environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let small = try ScratchMount(.tmpfs, mebibytes: mebibytes)
        let runtime = small.path("runtime")
        try prepare(runtime)
        try expectSameAsNative(
            "runtime-files", testCase, on: .tmpfs, serving: [], mapAfter: mapAfter,
            environment: environment.merging(["PMEMSHIM_RUNTIME_DIR": runtime, "HARM": runtime]) { $1 },
            sourceLocation: sourceLocation)
    }

    private func fill(_ directory: String) throws {
        _ = try spawn("/bin/dd", ["if=/dev/zero", "of=\(directory)/filler", "bs=4k"])
    }

    @Test("a full file system under the runtime directory", arguments: [0, nil])
    func fullFromTheStart(mapAfter: Int?) throws {
        try expectUnharmed(
            "calls", mapAfter: mapAfter, prepare: { try fill(($0 as NSString).deletingLastPathComponent) })
    }

    @Test("a full file system under files that are there already, and empty", arguments: [0, nil])
    func fullUnderEmptyFiles(mapAfter: Int?) throws {
        try expectUnharmed("calls", mapAfter: mapAfter) { runtime in
            try FileManager.default.createDirectory(
                atPath: runtime, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            for name in ["stats", "pages"] {
                _ = FileManager.default.createFile(
                    atPath: "\(runtime)/\(name)", contents: nil, attributes: [.posixPermissions: 0o600])
            }
            try fill(runtime)
        }
    }

    @Test("the file system under the runtime directory fills up while the program runs", arguments: [0, nil])
    func filledLater(mapAfter: Int?) throws { try expectUnharmed("filled", mapAfter: mapAfter) }

    @Test(
        "cut, enlarged, punched, scribbled over, closed, removed and replaced while the program runs",
        arguments: [0, nil])
    func harmedMeanwhile(mapAfter: Int?) throws { try expectUnharmed("harmed", mapAfter: mapAfter) }

    @Test("the same just before the program closes a file, or uses its number for another", arguments: [0, nil])
    func harmedThenForgotten(mapAfter: Int?) throws { try expectUnharmed("harmed-then-forgotten", mapAfter: mapAfter) }

    @Test("a vfork child is the first to copy, with all signals blocked, where there are no page arrays")
    func vforkedBeforeReady() throws {
        try expectUnharmed("vforked-before-ready") { runtime in
            for directory in [runtime, "\(runtime)/pages"] {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            }
        }
    }

    @Test("the same before the program starts")
    func harmedBefore() throws { try expectUnharmed("harmed-before") }

    @Test("a limit of file sizes set before there are any files of ours", arguments: [0, nil])
    func limited(mapAfter: Int?) throws { try expectUnharmed("limited", mapAfter: mapAfter) }

    @Test("a lease on them is not waited for")
    func leased() throws { try expectUnharmed("leased") }

    @Test(
        "the log is a FIFO that nobody reads, a terminal, a directory, a full device",
        arguments: [
            "fifo", "/dev/ptmx", "directory", "/dev/full",
        ])
    func oddLog(kind: String) throws {
        let scratch = try ScratchDirectory()
        var path = kind
        if kind == "fifo" {
            path = "\(scratch.path)/fifo"
            #expect(mkfifo(path, 0o600) == 0)
        } else if kind == "directory" {
            path = scratch.path
        }
        try expectUnharmed("calls", environment: ["PMEMSHIM_LOG": path])
    }

    @Test("a daemon that acts for another user takes up none of his files, and leaves him none")
    func anotherUser() throws {
        if geteuid() != 0 { try Test.cancel("only root can become another user") }
        let his = try ScratchDirectory(in: "/dev/shm")
        chown(his.path, 65534, 65534)
        chmod(his.path, 0o700)
        try expectSameAsNative(
            "runtime-files", "another-user", on: .tmpfs, serving: [],
            environment: ["PMEMSHIM_RUNTIME_DIR": his.path])
        #expect(try FileManager.default.contentsOfDirectory(atPath: his.path) == [])
    }

    @Test("many short processes leave little memory behind")
    func manyShortProcesses() throws {
        let runtime = try ScratchDirectory(in: "/dev/shm")
        let mount = try ScratchMount(.tmpfs)
        for mapAfter in [0, 24] {
            for _ in 0..<8 {
                let result = try run(
                    Programs.path("runtime-files"), ["calls", mount.directory], preload: true, mounts: [mount.item],
                    mapAfter: mapAfter, runtimeDirectory: runtime.path)
                #expect(result.ending == .exited(0))
                #expect(result.counts.served() > 0)
            }
        }
        let used = try LibrarySymbols.output("/usr/bin/du", ["-sk", runtime.path]).split(separator: "\t").first
        let kibibytes = try #require(used.flatMap { Int($0) })
        #expect(kibibytes < 4_096, "statistics have at most 4 MiB, page arrays what two small files need")
    }
}
