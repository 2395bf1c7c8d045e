import TestSupport
import Testing

/// Where the files lie that the started programs use.
private let startedOn: [ScratchMount.Kind] = [.tmpfs, .ext4]

@Suite("Programs started by a served program, in every way libc has")
struct StartedProgramTests {
    typealias Kind = ScratchMount.Kind

    @Test("posix_spawn with file actions and attributes", arguments: startedOn)
    func spawned(kind: Kind) throws {
        try expectSameAsNative("process-exec", "posix-spawn", on: kind, serving: ["read", "pread", "pwrite"])
    }

    @Test("system and popen, whose shells use what they inherit", arguments: startedOn)
    func shells(kind: Kind) throws {
        try expectSameAsNative("process-exec", "shells", on: kind, serving: ["read", "pread"])
    }

    @Test("system and popen, with the default of calls before a file is mapped")
    func shellsByDefault() throws {
        try expectSameAsNative("process-exec", "shells", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("exec that fails, from a process, a forked child and a vforked one", arguments: startedOn)
    func failedExec(kind: Kind) throws {
        try expectSameAsNative("process-exec", "failed-exec", on: kind, serving: ["read", "pread"])
    }

    @Test("exec while other threads are in served calls")
    func execAmongThreads() throws {
        try expectSameAsNative("process-exec", "exec-among-threads", on: .tmpfs, serving: ["read", "pread"])
    }

    @Test("a program is executed through the descriptor it was read by", arguments: startedOn)
    func fexecve(kind: Kind) throws {
        try expectSameAsNative("process-exec", "fexecve", on: kind, serving: ["pread", "pwrite"])
    }

    @Test("daemons, by libc and by hand", arguments: startedOn)
    func daemons(kind: Kind) throws {
        try expectSameAsNative("process-exec", "daemon", on: kind, serving: ["read", "pread", "pwrite"])
    }
}

@Suite("A descriptor that goes from process to process has one offset, with the shim and without")
struct PassingTests {
    typealias Kind = ScratchMount.Kind

    @Test("sent to a program that has the shim, and to one that has not", arguments: startedOn)
    func sent(kind: Kind) throws {
        try expectSameAsNative("process-passing", "sent", on: kind, serving: ["read", "write", "pread", "pwrite"])
    }

    @Test("received from a program that has the shim, and from one that has not", arguments: startedOn)
    func received(kind: Kind) throws {
        try expectSameAsNative("process-passing", "received", on: kind, serving: ["read", "write", "pread", "pwrite"])
    }

    @Test("received, with the default of calls before a file is mapped")
    func receivedByDefault() throws {
        try expectSameAsNative("process-passing", "received", on: .tmpfs, serving: [], mapAfter: nil)
    }

    @Test("read to the end by two at once: every byte once", arguments: startedOn)
    func drainedTogether(kind: Kind) throws {
        try expectSameAsNative("process-passing", "drained-together", on: kind, serving: ["read"])
    }

    @Test("many in one message: peeked at, cut off, in flight alone", arguments: startedOn)
    func manyAtOnce(kind: Kind) throws {
        try expectSameAsNative("process-passing", "many-at-once", on: kind, serving: ["pread"])
    }

    @Test("taken out of another process by pidfd_getfd, in both directions", arguments: startedOn)
    func taken(kind: Kind) throws {
        try expectSameAsNative("process-passing", "taken", on: kind, serving: ["read", "pread"])
    }

    @Test("opened again through /proc and /dev/fd", arguments: startedOn)
    func openedThroughProc(kind: Kind) throws {
        try expectSameAsNative("process-passing", "opened-through-proc", on: kind, serving: ["read", "pread"])
    }

    @Test("opened by a child through its parent's /proc entry", arguments: startedOn)
    func openedByAChild(kind: Kind) throws {
        try expectSameAsNative("process-passing", "opened-by-a-child", on: kind, serving: ["read", "pread"])
    }
}
