import Foundation
import TestSupport
import Testing

/// scripts/install, on what has been built. The package made of the same plan has a test of its own (scripts/package).
@Suite("scripts/install", .serialized) struct InstallTests {
    private let scratch: ScratchDirectory
    private var prefix: String { "\(scratch.path)/made/for/it" }
    private static let manifest = "share/pmemshim/manifest"

    init() throws {
        scratch = try ScratchDirectory()
    }

    private func install(_ arguments: String..., through command: [String] = []) throws -> Run {
        var words = command + ["\(Shim.packageRoot)/scripts/install"] + arguments
        if !arguments.contains("--uninstall") { words.append("--no-build") }
        return try spawn("/usr/bin/env", words, environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"])
    }

    private func installed() throws {
        let run = try install("--prefix", prefix)
        guard run.ending == .exited(0) else { throw SetupError("scripts/install: \(run.stderr)") }
    }

    private func files(below directory: String) -> Set<String> {
        Set(FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? [])
    }

    private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(prefix)/\(name)") }

    @Test("shimctl finds the library that is installed with it") func library() throws {
        try installed()
        let run = try spawn(
            "\(prefix)/bin/shimctl", ["run", "--mount", "/dev/shm", "--", "/usr/bin/printenv", "LD_PRELOAD"],
            environment: ["PMEMSHIM_RUNTIME_DIR": scratch.path])
        #expect(run.stdout == "\(prefix)/lib/pmemshim/libpmemshim.so\n", "\(run.stderr)")
        #expect(exists("share/man/man1/shimctl.1") && exists("share/bash-completion/completions/shimctl"))
    }

    @Test("--uninstall takes away what was installed, the directories made for it, and nothing else")
    func uninstall() throws {
        try FileManager.default.createDirectory(
            atPath: "\(scratch.path)/made/before", withIntermediateDirectories: true)
        try installed()
        let run = try install("--prefix", prefix, "--uninstall")
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(files(below: scratch.path) == ["made", "made/before"])

        try installed()
        try Data().write(to: URL(filePath: "\(prefix)/share/doc/pmemshim/mine"))
        #expect(try install("--prefix", prefix, "--uninstall").ending == .exited(0))
        #expect(
            files(below: prefix) == ["share", "share/doc", "share/doc/pmemshim", "share/doc/pmemshim/mine"])
        // The manifest has gone with the rest.
        let again = try install("--prefix", prefix, "--uninstall")
        #expect(again.ending == .exited(1))
        #expect(again.stderr.contains("there is no \(prefix)/\(Self.manifest)"), "\(again.stderr)")
    }

    @Test("a program that runs keeps the library it has, and what an earlier version had goes") func upgrade() throws {
        try installed()
        let library = "\(prefix)/lib/pmemshim/libpmemshim.so"
        try Data().write(to: URL(filePath: "\(prefix)/share/pmemshim/earlier"))
        let list = try #require(FileHandle(forWritingAtPath: "\(prefix)/\(Self.manifest)"))
        try list.seekToEnd()
        try list.write(contentsOf: Data("f share/pmemshim/earlier\n".utf8))
        try list.close()
        // It is asked for what it has mapped once the second installation is there.
        let shell = """
            LD_PRELOAD=\(library) /usr/bin/sleep 60 & program=$!
            until grep --quiet libpmemshim /proc/$program/maps; do sleep 0.05; done
            \(Shim.packageRoot)/scripts/install --prefix \(prefix) --no-build || exit 1
            grep --max-count 1 --only-matching '\(library).*' /proc/$program/maps
            kill $program && wait $program
            echo $?
            """
        let run = try spawn(
            "/bin/bash", ["-c", shell], environment: ["PATH": "/usr/bin:/bin", "PMEMSHIM_RUNTIME_DIR": scratch.path])
        #expect(run.stdout.contains("\n\(library) (deleted)\n143\n"), "\(run.stdout)\(run.stderr)")
        #expect(!exists("share/pmemshim/earlier"))
        // What the first made is still ours.
        #expect(try install("--prefix", prefix, "--uninstall").ending == .exited(0))
        #expect(!files(below: scratch.path).contains { $0.hasPrefix("made") })
    }

    @Test("--destdir comes before every path, in --uninstall too") func destdir() throws {
        let below = scratch.path + "/root"
        #expect(try install("--destdir", below).ending == .exited(0))
        #expect(files(below: "\(below)/usr/local/bin") == ["shimctl"])
        #expect(try install("--destdir", below, "--uninstall").ending == .exited(0))
        #expect(files(below: below) == [])
    }

    @Test(
        "what cannot be is refused in words, before anything is changed",
        arguments: [
            (["--prefix", "usr/local"], "wants an absolute directory, not 'usr/local'"),
            (["--prefix", "/tmp/with space"], "ld.so takes spaces and colons"),
            (["--prefix", "/proc/pmemshim"], "/proc/pmemshim cannot be written: No such file or directory"),
            (["--prefix"], "--prefix wants a value"),
            (["--layout", "other"], "no layout 'other'"),
            (["--sideways"], "usage: scripts/install"),
        ])
    func refused(_ arguments: [String], _ message: String) throws {
        let words = ["\(Shim.packageRoot)/scripts/install", "--no-build"] + arguments
        let run = try spawn("/bin/bash", words, environment: ["PATH": "/usr/bin:/bin"])
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains(message), "\(run.stderr)")
    }

    @Test("a manifest that names a file elsewhere has nothing removed") func strangeManifest() throws {
        try installed()
        try Data().write(to: URL(filePath: "\(scratch.path)/victim"))
        for path in ["../../../victim", "\(scratch.path)/victim", "share/../../../../victim"] {
            try Data("f bin/shimctl\nf \(path)\n".utf8).write(to: URL(filePath: "\(prefix)/\(Self.manifest)"))
            let run = try install("--prefix", prefix, "--uninstall")
            #expect(run.ending == .exited(1))
            #expect(run.stderr.contains("names '\(path)', which is not below the prefix"), "\(run.stderr)")
            #expect(exists("bin/shimctl") && files(below: scratch.path).contains("victim"))
        }
    }

    @Test("without permission nothing is left behind") func permission() throws {
        let directory = scratch.path + "/others"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        #expect(chmod(directory, 0o555) == 0)
        // Root without its power over files is somebody else there.
        let powerless = ["/usr/bin/setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
        if geteuid() == 0 { #expect(chown(directory, 65534, 65534) == 0) }
        let run = try install("--prefix", "\(directory)/new", through: geteuid() == 0 ? powerless : [])
        #expect(run.ending == .exited(1))
        #expect(run.stderr.contains("cannot be written: Permission denied (run it as root"), "\(run.stderr)")
        #expect(files(below: directory) == [])
    }

    @Test("where the disk is full, the installation that was there stays as it was") func fullDisk() throws {
        if geteuid() != 0 { try Test.cancel("a small file system needs root") }
        // The second finds no room for another shimctl beside the first.
        let shell = """
            mount -t tmpfs -o size=44m tmpfs \(scratch.path) && cd \(scratch.path) || exit 2
            install=\(Shim.packageRoot)/scripts/install
            $install --no-build --prefix \(prefix) && find . -printf '%P %i\\n' | sort > /dev/shm/$$.before || exit 3
            $install --no-build --prefix \(prefix) && exit 4
            find . -printf '%P %i\\n' | sort | cmp - /dev/shm/$$.before && rm /dev/shm/$$.before && echo same
            """
        let run = try spawn(
            "/usr/bin/unshare", ["--mount", "/bin/bash", "-c", shell], environment: ["PATH": "/usr/sbin:/usr/bin:/bin"])
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(run.stdout.hasSuffix("same\n"), "\(run.stdout)")
        #expect(run.stderr.contains("cannot be written: No space left on device; nothing has been changed"))
    }
}
