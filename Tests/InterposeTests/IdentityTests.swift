import Foundation
import TestSupport
import Testing

@Suite("Another user, another root, other namespaces: what is open stays what it is")
struct IdentityTests {
    typealias Kind = ScratchMount.Kind
    static let kinds: [Kind] = [.tmpfs, .ext4]

    private func compare(_ testCase: String, on kind: Kind) throws {
        if geteuid() != 0 { try Test.cancel("only root may become somebody else") }
        try expectSameAsNative("process-identity", testCase, on: kind, serving: ["read", "pread", "pwrite"])
    }

    @Test("seteuid, setuid, setresuid, setfsuid, PR_SET_DUMPABLE", arguments: kinds)
    func users(kind: Kind) throws { try compare("users", on: kind) }

    @Test("chroot, out and in again, and a directory that moves", arguments: kinds)
    func roots(kind: Kind) throws { try compare("roots", on: kind) }

    @Test("mount namespaces, pivot_root, mounts that cover and that are gone", arguments: kinds)
    func namespaces(kind: Kind) throws { try compare("namespaces", on: kind) }

    @Test("user namespaces", arguments: kinds)
    func userNamespaces(kind: Kind) throws { try compare("user-namespace", on: kind) }

    @Test("with the default of calls before a file is mapped", arguments: ["roots", "namespaces"])
    func byDefault(testCase: String) throws {
        if geteuid() != 0 { try Test.cancel("only root may become somebody else") }
        try expectSameAsNative("process-identity", testCase, on: .tmpfs, serving: [], mapAfter: nil)
    }
}
