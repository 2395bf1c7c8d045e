import Foundation
import TestSupport
import Testing

/// shimctl on a server: no Swift, no compiler, only what Debian's libc6, libelf1 and libblkid1 bring.
@Suite("shimctl without a Swift toolchain") struct StandaloneTests {
    /// Files of libc6, libelf1 with zlib1g, and libblkid1.
    private static let allowed: Set<String> = [
        "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libelf.so.1", "libz.so.1", "libblkid.so.1",
    ]

    private func needed(by file: String) throws -> [String] {
        let run = try spawn("/usr/bin/readelf", ["--dynamic", "--wide", file])
        return run.lines.filter { $0.contains("(NEEDED)") }.compactMap { line in
            line.split(separator: "[").last.map { String($0.prefix { $0 != "]" }) }
        }
    }

    @Test("it needs no library but theirs, and is told no other place to look for them")
    func libraries() throws {
        let needed = try needed(by: Shim.shimctl)
        #expect(needed.contains("libc.so.6"))
        #expect(Set(needed).subtracting(Self.allowed) == [], "\(needed)")
    }

    @Test("no source of it imports all of Foundation, which would put 44 MB of ICU into it")
    func imports() throws {
        let sources = "\(Shim.packageRoot)/Sources/shimctl"
        let names = try FileManager.default.subpathsOfDirectory(atPath: sources).filter { $0.hasSuffix(".swift") }
        #expect(names.count > 50)
        for name in names {
            let text = try String(contentsOfFile: "\(sources)/\(name)", encoding: .utf8)
            #expect(!text.split(separator: "\n").contains("import Foundation"), "\(name)")
        }
    }

    @Test("it starts and does its work in a root directory that holds nothing else")
    func root() throws {
        if geteuid() != 0 { try Test.cancel("chroot needs root") }
        let scratch = try ScratchDirectory(in: "/dev/shm")
        defer { scratch.close() }
        let root = scratch.path
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: root)
        for name in ["lib64", "lib/x86_64-linux-gnu", "bin", "tmp", "data", "runtime", "proc"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
        }
        #expect(chmod("\(root)/runtime", 0o700) == 0)
        for library in Self.allowed {
            let found = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64"].map { "\($0)/\(library)" }
                .first { FileManager.default.fileExists(atPath: $0) }
            let source = try #require(found, "\(library)")
            let target = library.hasPrefix("ld-") ? "lib64" : "lib/x86_64-linux-gnu"
            try copy(source, "\(root)/\(target)/\(library)")
        }
        try copy(Shim.shimctl, "\(root)/bin/shimctl")
        try copy(Shim.library, "\(root)/bin/libpmemshim.so")
        try copy("/usr/bin/cat", "\(root)/bin/cat")
        try Data("served from a bare root\n".utf8).write(to: URL(filePath: "\(root)/data/file"))

        let environment = ["PATH": "/bin", "LD_LIBRARY_PATH": "", "PMEMSHIM_RUNTIME_DIR": "/runtime"]
        func inside(_ arguments: String...) throws -> Run {
            let isolated = ["--pid", "--fork", "--kill-child", "--mount-proc=\(root)/proc", "/usr/sbin/chroot", root]
            return try spawn("/usr/bin/unshare", isolated + ["/bin/shimctl"] + arguments, environment: environment)
        }
        let help = try inside("--help")
        #expect(help.ending == .exited(0), "\(help.stderr)")
        #expect(help.stdout.contains("SUBCOMMANDS"))
        let check = try inside("check", "cat")
        #expect(check.ending == .exited(0), "\(check.stdout)\(check.stderr)")
        #expect(check.stdout.contains("/lib/x86_64-linux-gnu/libc.so.6"))
        let run = try inside("run", "--mount", "/data", "--", "cat", "/data/file")
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.stdout == "served from a bare root\n")
        let stats = try inside("stats")
        #expect(stats.ending == .exited(0), "\(stats.stderr)")
        #expect(try json(try inside("stats", "--json").stdout)["schema"] == .string("pmemshim.stats/1"))
        let created = try inside("create", "/tmp/device.img", "--size", "64M")
        #expect(created.ending == .exited(0), "\(created.stderr)")
        try Data([UInt8](repeating: 7, count: 8 << 20)).write(to: URL(filePath: "\(root)/tmp/full.img"))
        // Without libmagic, which names content, it still finds some.
        let refused = try inside("create", "/tmp/full.img")
        #expect(refused.ending == .exited(1))
        #expect(refused.stderr.contains("holds data"), "\(refused.stderr)")
        let inspected = try json(try inside("inspect", "--json", "/tmp/device.img").stdout)
        #expect(inspected["copies_agree"] == .string("identical"))
    }

    private func copy(_ source: String, _ target: String) throws {
        let run = try spawn("/usr/bin/cp", ["--dereference", source, target])
        guard run.ending == .exited(0) else { throw SetupError("cp: \(run.stderr)") }
    }
}
