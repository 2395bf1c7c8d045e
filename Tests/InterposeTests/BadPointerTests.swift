import TestSupport
import Testing

@Suite("Bad pointers get the answer of the kernel, or the fault of libc")
struct BadPointerTests {
    static let signalCalls = [
        "signal-calls", "signal-calls-with-handlers", "signal-calls-in-threads", "signal-calls-blocked",
    ]
    static let libcCalls = ["libc-calls", "libc-calls-with-handlers", "libc-calls-in-threads"]

    @Test("actions, masks and waits by system call number", arguments: signalCalls)
    func byNumber(testCase: String) throws {
        try expectSameAsNative("bad-pointers", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test("actions, masks, waits, contexts and jumps through libc", arguments: libcCalls)
    func throughLibc(testCase: String) throws {
        try expectSameAsNative("bad-pointers", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test("calls that return descriptors or take them", arguments: ["descriptor-calls", "descriptor-calls-in-threads"])
    func descriptors(testCase: String) throws {
        try expectSameAsNative("bad-pointers", testCase, on: .tmpfs, serving: ["pread"])
    }

    @Test(
        "message headers and control data that go or change during the call",
        arguments: ["headers-that-go", "headers-that-change"])
    func headers(testCase: String) throws {
        try expectSameAsNative("bad-pointers", testCase, on: .tmpfs, serving: ["pread"])
    }
}
