import Foundation
import TestSupport
import Testing

/// Shows 5 of issue 2: programs as they are, on a tmpfs, with the shim and without it.
///
/// Every program runs first without the shim and then under it, from the same path, so that nothing that depends on
/// a path's name differs; the first tree is moved aside and compared with the second.
@Suite struct UnderThePreloadTests {
    /// Nearly everything served, and the rule that decides by itself.
    static let mapAfter: [Int?] = [0, nil]

    @Test(
        "output, exit status and files are the same as without the shim", arguments: Script.all, mapAfter)
    func sameAsWithout(script: Script, mapAfter: Int?) throws {
        try compare(script, on: .tmpfs, mapAfter: mapAfter)
    }

    @Test("many processes at once do the same as without the shim", arguments: Script.processes)
    func manyProcesses(script: Script) throws {
        try compare(script, on: .tmpfs, mapAfter: 0)
    }

    @Test("pipelines and worker processes do the same where the shim decides by itself what to serve")
    func manyProcessesByTheRule() throws {
        for script in Script.processes where ["pipelines", "multiprocessing"].contains(script.name) {
            try compare(script, on: .tmpfs, mapAfter: nil)
        }
    }

    @Test("a Swift program behaves the same as without the shim", arguments: mapAfter)
    func swiftProgram(mapAfter: Int?) throws {
        try compare(Script.swift(), on: .tmpfs, mapAfter: mapAfter)
    }

    @Test(
        "output, exit status and files are the same on a tmpfs with huge pages",
        .enabled(if: ScratchMount.Kind.tmpfsHuge.unavailability == nil), arguments: Script.all)
    func sameOnHugePages(script: Script) throws {
        try compare(script, on: .tmpfsHuge, mapAfter: 0)
    }

    @Test(
        "output, exit status and files are the same on ext4 opted in",
        .enabled(if: ScratchMount.Kind.ext4.unavailability == nil), arguments: Script.all)
    func sameOnPageCache(script: Script) throws {
        try compare(script, on: .ext4, mapAfter: 0)
    }

    @Test("a Java program behaves the same as without the shim", arguments: [ScratchMount.Kind.tmpfs])
    func javaProgram(kind: ScratchMount.Kind) throws {
        try compare(Script.java, on: kind, mapAfter: 0)
    }

    private func compare(_ script: Script, on kind: ScratchMount.Kind, mapAfter: Int?) throws {
        let mount = try ScratchMount(kind, mebibytes: 512)
        defer { mount.close() }
        let native = try run(script, on: mount, preload: false, mapAfter: nil)
        let nativeTree = try Tree(mount.path("work"))
        try FileManager.default.moveItem(atPath: mount.path("work"), toPath: mount.path("native"))
        let served = try run(script, on: mount, preload: true, mapAfter: mapAfter)
        let servedTree = try Tree(mount.path("work"))

        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(served.stderr == native.stderr)
        #expect(servedTree.differences(from: nativeTree) == [])
        #expect(served.counts.notes == [])
        if mapAfter == 0, kind != .tmpfsHuge || script.hasLargeFiles {
            // Otherwise this would have compared the kernel with itself.
            let reads = ["read", "pread", "readv", "preadv"].map { served.counts.served($0) }.reduce(0, +)
            #expect(reads > 0)
        }
    }

    private func run(_ script: Script, on mount: ScratchMount, preload: Bool, mapAfter: Int?) throws -> Run {
        let work = mount.path("work")
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: false)
        return try TestSupport.run(
            script.interpreter, script.arguments, environment: ["PATH": "/usr/bin:/bin", "HOME": work, "TZ": "UTC"],
            preload: preload, mounts: [mount.item], mapAfter: mapAfter, workingDirectory: work, timeout: .seconds(120))
    }
}
