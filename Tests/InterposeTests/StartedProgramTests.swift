import TestSupport
import Testing

@Suite("Programs started by a served program, in every way libc has")
struct StartedProgramTests {
    typealias Kind = ScratchMount.Kind
    static let kinds: [Kind] = [.tmpfs, .ext4]

    @Test("posix_spawn with file actions and attributes", arguments: kinds)
    func spawned(kind: Kind) throws {
        try expectSameAsNative("process-exec", "posix-spawn", on: kind, serving: ["read", "pread", "pwrite"])
    }

    @Test("system and popen, whose shells use what they inherit", arguments: kinds)
    func shells(kind: Kind) throws {
        try expectSameAsNative("process-exec", "shells", on: kind, serving: ["read", "pread"])
    }

    @Test("system and popen, with the default of calls before a file is mapped")
    func shellsByDefault() throws {
        try expectSameAsNative("process-exec", "shells", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("exec that fails, from a process, a forked child and a vforked one", arguments: kinds)
    func failedExec(kind: Kind) throws {
        try expectSameAsNative("process-exec", "failed-exec", on: kind, serving: ["read", "pread"])
    }

    @Test("exec while other threads are in served calls")
    func execAmongThreads() throws {
        try expectSameAsNative("process-exec", "exec-among-threads", on: .tmpfs, serving: ["read", "pread"])
    }

    @Test("a program is executed through the descriptor it was read by", arguments: kinds)
    func fexecve(kind: Kind) throws {
        try expectSameAsNative("process-exec", "fexecve", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("daemons, by libc and by hand", arguments: kinds)
    func daemons(kind: Kind) throws {
        try expectSameAsNative("process-exec", "daemon", on: kind, serving: ["read", "pread", "pwrite"])
    }
}

@Suite("A descriptor that goes from process to process has one offset, with the shim and without")
struct PassingTests {
    typealias Kind = ScratchMount.Kind
    static let kinds: [Kind] = [.tmpfs, .ext4]

    @Test("sent to a program that has the shim, and to one that has not", arguments: kinds)
    func sent(kind: Kind) throws {
        try expectSameAsNative("process-passing", "sent", on: kind, serving: ["read", "write", "pread", "pwrite"])
    }

    @Test("received from a program that has the shim, and from one that has not", arguments: kinds)
    func received(kind: Kind) throws {
        try expectSameAsNative("process-passing", "received", on: kind, serving: ["read", "write", "pread", "pwrite"])
    }

    @Test("received, with the default of calls before a file is mapped")
    func receivedByDefault() throws {
        try expectSameAsNative("process-passing", "received", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("read to the end by two at once: every byte once", arguments: kinds)
    func drainedTogether(kind: Kind) throws {
        try expectSameAsNative("process-passing", "drained-together", on: kind, serving: ["read"])
    }

    @Test("many in one message: peeked at, cut off, in flight alone", arguments: kinds)
    func manyAtOnce(kind: Kind) throws {
        try expectSameAsNative("process-passing", "many-at-once", on: kind, serving: ["pread"])
    }

    @Test("taken out of another process by pidfd_getfd, in both directions", arguments: kinds)
    func taken(kind: Kind) throws {
        try expectSameAsNative("process-passing", "taken", on: kind, serving: ["read", "pread"])
    }

    @Test("opened again through /proc and /dev/fd", arguments: kinds)
    func openedThroughProc(kind: Kind) throws {
        try expectSameAsNative("process-passing", "opened-through-proc", on: kind, serving: ["read", "pread"])
    }

    @Test("opened by a child through its parent's /proc entry", arguments: kinds)
    func openedByAChild(kind: Kind) throws {
        try expectSameAsNative("process-passing", "opened-by-a-child", on: kind, serving: ["read", "pread"])
    }
}
