import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// `strip_library` of scripts/lib/common.sh: how the library is shipped.
@Suite struct StrippedLibraryTests {
    private let scratch: ScratchDirectory
    private var linked: String { "\(scratch.path)/libthing.so" }
    private var shipped: String { "\(scratch.path)/stripped/libthing.so" }

    init() throws {
        scratch = try ScratchDirectory()
        try link("int answer(int question) { return question * 6; }")
    }

    private func link(_ source: String) throws {
        let gcc = try spawn(
            "/usr/bin/gcc", ["-g", "-O1", "-shared", "-fPIC", "-x", "c", "-", "-o", linked], stdin: Array(source.utf8))
        guard gcc.ending == .exited(0) else { throw SetupError(gcc.stderr) }
    }

    private func strip() throws {
        let script = "set -euo pipefail; source \(Shim.packageRoot)/scripts/lib/common.sh; strip_library \"$@\""
        let run = try spawn("/usr/bin/bash", ["-c", script, "strip", linked, "\(scratch.path)/stripped"])
        #expect(run.ending == .exited(0), "\(run.stderr)")
    }

    private func inode(_ path: String) -> UInt64 {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    private func sections(_ path: String) throws -> String { try spawn("/usr/bin/readelf", ["-SW", path]).stdout }

    /// Where gdb says the function is, by the debug information it finds.
    private func place() throws -> String {
        try spawn("/usr/bin/gdb", ["-nx", "-batch", "-ex", "info line answer", shipped]).stdout
    }

    @Test("debug information goes into a file beside it, where gdb finds it; symbols stay")
    func stripsDebugInformation() throws {
        #expect(try sections(linked).contains(".debug_info"))
        try strip()
        #expect(try !sections(shipped).contains(".debug_"))
        #expect(try sections(shipped).contains(".symtab"))
        #expect(try sections(shipped).contains(".gnu_debuglink"))
        #expect(try sections("\(shipped).debug").contains(".debug_info"))
        #expect(try place().contains("Line 1 of \"<stdin>\""))
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(scratch.path)/stripped").sorted()
        #expect(names == ["libthing.so", "libthing.so.debug"])
    }

    @Test("what the linker made stays as it is, and is done once")
    func leavesTheLinkersFile() throws {
        let before = (inode(linked), try Data(contentsOf: URL(filePath: linked)))
        try strip()
        let first = (inode(shipped), inode("\(shipped).debug"))
        try strip()
        #expect((inode(shipped), inode("\(shipped).debug")) == first)
        #expect(inode(linked) == before.0)
        #expect(try Data(contentsOf: URL(filePath: linked)) == before.1)
    }

    @Test("a library that is linked again gets new files, not new bytes in those that programs have mapped")
    func replacesByRename() throws {
        try strip()
        let file = try FileHandle(forReadingFrom: URL(filePath: shipped))
        let old = (inode(shipped), try file.readToEnd())
        try link("\n\n\nint answer(int question) { return question * 7; }\nint more;")
        try strip()
        #expect(inode(shipped) != old.0)
        try file.seek(toOffset: 0)
        #expect(try file.readToEnd() == old.1)
        #expect(try place().contains("Line 4 of \"<stdin>\""))
    }

    @Test("debug information that belongs to another build is not used")
    func staleDebugInformation() throws {
        try strip()
        let stale = try Data(contentsOf: URL(filePath: "\(shipped).debug"))
        try link("\n\n\nint answer(int question) { return question * 7; }")
        try strip()
        try stale.write(to: URL(filePath: "\(shipped).debug"))
        #expect(try !place().contains("Line "))
    }

    @Test("the library under test is shipped so, if scripts/test has built it")
    func theShimIsStripped() throws {
        let library = try Shim.library
        guard library.contains("/stripped/") else { return }
        #expect(try !sections(library).contains(".debug_"))
        #expect(try sections(library).contains(".gnu_debuglink"))
        #expect(FileManager.default.fileExists(atPath: "\(library).debug"))
    }

    @Test("all debug information is DWARF 4: of two compilers' DWARF 5 valgrind gives every program up")
    func dwarfVersion() throws {
        let library = try Shim.library
        let file = FileManager.default.fileExists(atPath: "\(library).debug") ? "\(library).debug" : library
        let text = try spawn("/usr/bin/readelf", ["--debug-dump=info", file], timeout: .seconds(120)).stdout
        let versions = text.matches(of: #/\n +Version: +(\d+)/#).map { String($0.1) }
        #expect(versions.count > 10)
        #expect(Set(versions) == ["4"])
    }
}
