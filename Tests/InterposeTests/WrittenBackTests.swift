import TestSupport
import Testing

/// Stores through a window make the kernel's writing back dearer (Durability/Engine+WriteFaults.swift); the program is
/// Tests/Programs/written-back.c.
@Suite("Writes to a file on a page cache that is written back all the time")
struct WrittenBackTests {
    private func counts(_ name: String, on kind: ScratchMount.Kind) throws -> ServedCounts {
        let mount = try ScratchMount(kind)
        defer { mount.close() }
        let result = try run(
            Programs.path("written-back"), [name, mount.directory], preload: true, mounts: [mount.item], mapAfter: nil)
        #expect(result.ending == .exited(0), "\(result.stderr)")
        return result.counts
    }

    @Test("are the same as natively", arguments: ScratchMount.Kind.served, ["once", "often", "read-back"])
    func same(kind: ScratchMount.Kind, name: String) throws {
        try expectSameAsNative("written-back", name, on: kind, serving: ["pwrite"], mapAfter: nil)
    }

    @Test("are the kernel's where each page is written once in between")
    func once() throws {
        try skipIfUnavailable(.ext4)
        let counts = try counts("once", on: .ext4)
        #expect(counts.passedOn("backing", "pwrite") > counts.served("pwrite"))
    }

    @Test("leave a window for reading alone, which the kernel need not protect")
    func mapped() throws {
        try skipIfUnavailable(.ext4)
        let mount = try ScratchMount(.ext4)
        defer { mount.close() }
        let result = try run(
            Programs.path("written-back"), ["mapped", mount.directory], preload: true, mounts: [mount.item],
            mapAfter: nil)
        #expect(result.ending == .exited(0), "\(result.stderr)")
        // The window, and what lies behind it for end probes: before that page, the page, and after it.
        #expect(result.stdout.contains("mappings 0 of 4"), "\(result.stdout)")
    }

    @Test("leave reads served")
    func reads() throws {
        try skipIfUnavailable(.ext4)
        let counts = try counts("read-back", on: .ext4)
        #expect(counts.passedOn("backing", "pwrite") > counts.served("pwrite"))
        #expect(counts.served("pread") > 40_000)
    }

    @Test("are served where each page is written often in between")
    func often() throws {
        try skipIfUnavailable(.ext4)
        #expect(try counts("often", on: .ext4).served("pwrite") > 15_000)
    }

    @Test("are served on tmpfs, which is never written back")
    func memory() throws {
        #expect(try counts("once", on: .tmpfs).passedOn("backing", "pwrite") == 0)
    }
}
