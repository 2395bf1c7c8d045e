import Foundation
import TestSupport
import Testing

extension Script {
    /// Runs it without the shim and under it, from the same path, so that nothing that depends on a path's name
    /// differs: the first tree is moved aside and compared with the second.
    /// - Returns: the run under the shim.
    @discardableResult
    func compare(on kind: ScratchMount.Kind, mapAfter: Int?) throws -> Run {
        let mount = try ScratchMount(kind, mebibytes: 512)
        defer { mount.close() }
        let native = try run(on: mount, preload: false, mapAfter: nil)
        let nativeTree = try Tree(mount.path("work"))
        try FileManager.default.moveItem(atPath: mount.path("work"), toPath: mount.path("native"))
        let served = try run(on: mount, preload: true, mapAfter: mapAfter)
        let servedTree = try Tree(mount.path("work"))

        #expect(served.ending == native.ending)
        #expect(served.stdout == native.stdout)
        #expect(filter(served.stderr) == filter(native.stderr))
        #expect(servedTree.differences(from: nativeTree) == [])
        #expect(served.counts.notes == [])
        if mustSucceed { #expect(native.ending == .exited(0), "\(native.stderr)") }
        let reads = ["read", "pread", "readv", "preadv"].map { served.counts.served($0) }.reduce(0, +)
        if !isServed {
            #expect(reads == 0)
        } else if mapAfter == 0, kind != .tmpfsHuge || hasLargeFiles {
            // Otherwise this would have compared the kernel with itself.
            #expect(reads > 0)
        }
        return served
    }

    private func run(on mount: ScratchMount, preload: Bool, mapAfter: Int?) throws -> Run {
        let work = mount.path("work")
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: false)
        return try TestSupport.run(
            interpreter, arguments, environment: ["PATH": "/usr/bin:/bin", "HOME": work, "TZ": "UTC"],
            preload: preload, mounts: [mount.item], mapAfter: mapAfter, stdin: stdin, workingDirectory: work,
            timeout: .seconds(240))
    }
}
