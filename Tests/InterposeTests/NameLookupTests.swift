import Foundation
import TestSupport
import Testing

@Suite("Functions of libc's that a program asks for by name are seen as those that the linker bound")
struct NameLookupTests {
    typealias Kind = ScratchMount.Kind

    /// `libc`, `libm`, `program`: by that handle. `newest`, `oldest`: dlvsym. `dlsym`: by a dlsym asked for itself.
    @Test(
        "by handle, by version, the default and the next one", arguments: Kind.served,
        ["libc", "libm", "program", "newest", "oldest", "default", "next", "dlsym"])
    func ways(kind: Kind, way: String) throws {
        try expectSameAsNative("names-ways", way, on: kind, serving: ["pread"])
    }

    @Test(
        "RTLD_NEXT and versions, from a library behind the shim, in front of it, and loaded later",
        arguments: ["library-behind", "library-in-front", "library-later"])
    func libraries(testCase: String) throws {
        try expectSameAsNative("names-ways", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test(
        "another preload that wraps close is called once, and comes never back to itself",
        arguments: [
            "wrapper-behind", "wrapper-in-front", "handle-wrapper-behind", "handle-wrapper-in-front",
        ])
    func wrappers(testCase: String) throws {
        try expectSameAsNative("names-ways", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test("the same with the default of calls before a file is mapped", arguments: ["libc", "library-behind"])
    func byDefault(testCase: String) throws {
        try expectSameAsNative("names-ways", testCase, on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("every name that is exported is the same function by libc's handle")
    func everyName() throws {
        let names = try LibrarySymbols(of: Shim.library).exports.sorted()
        let mount = try ScratchMount(.tmpfs)
        let result = try run(
            Programs.path("names-ways"), ["every-name", mount.directory], preload: true, mounts: [mount.item],
            stdin: Array(names.joined(separator: "\n").utf8))
        #expect(result.ending == .exited(0))
        #expect(result.stdout == "end\n")
        #expect(result.stderr == "\(names.count) names\n")
    }

    @Test("Python's ctypes: what libc.dup2 replaced, and libc.close closed, is not read or written any more")
    func ctypes() throws {
        let mount = try ScratchMount(.tmpfs)
        let script = "\(Shim.packageRoot)/Tests/InterposeTests/Programs/ctypes_calls.py"
        let native = try mount.withDirectory("native") {
            try run("/usr/bin/python3", ["-B", script, $0], preload: false)
        }
        let shimmed = try mount.withDirectory("shimmed") {
            try run("/usr/bin/python3", ["-B", script, $0], preload: true, mounts: [mount.item])
        }
        #expect(native.ending == .exited(0), "\(native.stderr)")
        #expect(shimmed.ending == native.ending, "\(shimmed.stderr)")
        #expect(shimmed.stdout == native.stdout)
        #expect(shimmed.counts.served("pread") > 0)
        #expect(shimmed.counts.notes == [])
    }
}
