import Foundation
import TestSupport
import Testing

/// Programs as they are, on a tmpfs, with the shim and without it.
@Suite struct UnderThePreloadTests {
    /// Nearly everything served, and the rule that decides by itself.
    static let mapAfter: [Int?] = [0, nil]

    @Test(
        "output, exit status and files are the same as without the shim", arguments: Script.all, mapAfter)
    func sameAsWithout(script: Script, mapAfter: Int?) throws {
        try script.compare(on: .tmpfs, mapAfter: mapAfter)
    }

    @Test("many processes at once do the same as without the shim", arguments: Script.processes)
    func manyProcesses(script: Script) throws {
        try script.compare(on: .tmpfs, mapAfter: 0)
    }

    @Test("pipelines and worker processes do the same where the shim decides by itself what to serve")
    func manyProcessesByTheRule() throws {
        for script in Script.processes where ["pipelines", "multiprocessing"].contains(script.name) {
            try script.compare(on: .tmpfs, mapAfter: nil)
        }
    }

    @Test("a Swift program behaves the same as without the shim", arguments: mapAfter)
    func swiftProgram(mapAfter: Int?) throws {
        try Script.swift().compare(on: .tmpfs, mapAfter: mapAfter)
    }

    @Test(
        "output, exit status and files are the same on a tmpfs with huge pages",
        .enabled(if: ScratchMount.Kind.tmpfsHuge.unavailability == nil), arguments: Script.all)
    func sameOnHugePages(script: Script) throws {
        try script.compare(on: .tmpfsHuge, mapAfter: 0)
    }

    @Test(
        "output, exit status and files are the same on ext4 opted in",
        .enabled(if: ScratchMount.Kind.ext4.unavailability == nil), arguments: Script.all)
    func sameOnPageCache(script: Script) throws {
        try script.compare(on: .ext4, mapAfter: 0)
    }

    @Test("a Java program behaves the same as without the shim", arguments: [ScratchMount.Kind.tmpfs])
    func javaProgram(kind: ScratchMount.Kind) throws {
        try Script.java.compare(on: kind, mapAfter: 0)
    }
}
