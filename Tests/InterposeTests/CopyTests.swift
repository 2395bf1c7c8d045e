import TestSupport
import Testing

@Suite("Copies inside the kernel beside served writes")
struct CopyTests {
    @Test(
        "a copy and a write of the same 64 KiB never mix", arguments: ["copy_file_range", "sendfile", "splice"],
        [ScratchMount.Kind.tmpfs, .ext4])
    func neverMixed(call: String, kind: ScratchMount.Kind) throws {
        try expectSameAsNative("copies-beside-writes", call, on: kind, serving: ["pwrite"])
    }

    @Test("a splice that waits for a pipe keeps nobody from writing", arguments: ScratchMount.Kind.served)
    func waitingSplice(kind: ScratchMount.Kind) throws {
        try expectSameAsNative("copies-beside-writes", "empty-pipe", on: kind, serving: [])
    }
}
