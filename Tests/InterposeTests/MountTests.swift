import Foundation
import TestSupport
import Testing

/// A tmpfs with files to be read, and runs over them.
struct ServedFiles {
    let mount: ScratchMount

    /// Each is longer than two huge pages.
    init(_ kind: ScratchMount.Kind = .tmpfs, _ names: String...) throws {
        try skipIfUnavailable(kind)
        mount = try ScratchMount(kind)
        for name in names {
            let path = mount.path(name)
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            let made = try spawn(Programs.path("modify"), ["recreate", path, "5000000", "\(name.count)"])
            guard made.ending == .exited(0) else { throw SetupError("cannot make \(path)") }
        }
    }

    /// Reads `paths` under the shim, expects what is said without it and silence on standard error, and returns the
    /// run.
    func read(
        _ paths: String..., rounds: Int = 40, mounts: String?, environment: [String: String] = [:],
        mapAfter: Int? = 0, runtimeDirectory: String? = nil, user: UInt32? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Run {
        let program = try Programs.path("read-files")
        let arguments = ["\(rounds)"] + paths
        let native = try run(program, arguments, preload: false, user: user)
        #expect(native.ending == .exited(0), sourceLocation: sourceLocation)
        let shimmed = try run(
            program, arguments, environment: environment, preload: true, mounts: mounts.map { [$0] } ?? [],
            mapAfter: mapAfter, runtimeDirectory: runtimeDirectory, user: user)
        #expect(shimmed.ending == native.ending, sourceLocation: sourceLocation)
        #expect(shimmed.stdout == native.stdout, sourceLocation: sourceLocation)
        #expect(shimmed.stderr == "", sourceLocation: sourceLocation)
        return shimmed
    }
}

@Suite("What is served: the trees that PMEMSHIM_MOUNTS names, and nothing else")
struct MountTests {
    @Test("a named mount is served")
    func aNamedMount() throws {
        let files = try ServedFiles(.tmpfs, "file")
        let run = try files.read(files.mount.path("file"), mounts: files.mount.directory)
        #expect(run.counts.served("pread") > 30 && run.counts.served("pwrite") > 0)
    }

    @Test("without PMEMSHIM_MOUNTS nothing but DAX mounts is served")
    func noMounts() throws {
        let files = try ServedFiles(.tmpfs, "file")
        #expect(try files.read(files.mount.path("file"), mounts: nil).counts.served() == 0)
        #expect(try files.read(files.mount.path("file"), mounts: "").counts.served() == 0)
    }

    @Test("a directory inside a file system serves only its tree")
    func aDirectoryInside() throws {
        let files = try ServedFiles(.tmpfs, "in/deep/er/file", "out/file", "inside/file")
        let tree = files.mount.path("in")
        #expect(try files.read(files.mount.path("in/deep/er/file"), mounts: tree).counts.served() > 30)
        #expect(try files.read(files.mount.path("out/file"), mounts: tree).counts.served() == 0)
        #expect(try files.read(files.mount.path("inside/file"), mounts: tree).counts.served() == 0)
    }

    @Test("a symbolic link is served where it leads to, not where it is")
    func symbolicLinks() throws {
        let files = try ServedFiles(.tmpfs, "in/file", "out/file")
        for (link, target) in [("in/link", "../out/file"), ("out/link", "../in/file"), ("name", "in")] {
            try FileManager.default.createSymbolicLink(
                atPath: files.mount.path(link), withDestinationPath: target)
        }
        let tree = files.mount.path("in")
        #expect(try files.read(files.mount.path("in/link"), mounts: tree).counts.served() == 0)
        #expect(try files.read(files.mount.path("out/link"), mounts: tree).counts.served() > 30)
        #expect(try files.read(files.mount.path("name/file"), mounts: tree).counts.served() > 30)
        #expect(
            try files.read(files.mount.path("in/file"), mounts: files.mount.path("name")).counts.served() > 30,
            "the named directory may be a link itself")
    }

    @Test("dots in a path lead where the kernel says")
    func dots() throws {
        let files = try ServedFiles(.tmpfs, "in/file", "out/file")
        let tree = files.mount.path("in")
        #expect(try files.read(files.mount.path("in/../out/file"), mounts: tree).counts.served() == 0)
        #expect(try files.read(files.mount.path("out/./../in/file"), mounts: tree).counts.served() > 30)
        #expect(
            try files.read(files.mount.path("in/file"), mounts: files.mount.path("out/../in/.")).counts.served() > 30)
        #expect(try files.read(files.mount.path("in/file"), mounts: "\(tree)//").counts.served() > 30)
    }

    @Test("a bind mount elsewhere reads the same, and the tree is served beside it")
    func bindMounts() throws {
        let files = try ServedFiles(.tmpfs, "in/file")
        let other = try ScratchMount(.plain)
        let bound = try spawn("/usr/bin/mount", ["--bind", files.mount.path("in"), other.directory])
        if bound.ending != .exited(0) { try Test.cancel("bind mounts cannot be made here: \(bound.stderr)") }
        defer { _ = try? spawn("/usr/bin/umount", ["--lazy", other.directory]) }
        let tree = files.mount.path("in")
        let run = try files.read(other.path("file"), files.mount.path("in/file"), mounts: tree)
        #expect(run.counts.served() > 30)
        #expect(try files.read(other.path("file"), mounts: other.directory).counts.served() > 30)
    }

    @Test("a plain file system is served only where it is opted in by name")
    func pageCacheIsOptIn() throws {
        let files = try ServedFiles(.ext4, "file")
        let path = files.mount.path("file")
        #expect(try files.read(path, mounts: files.mount.directory).counts.served() == 0)
        #expect(try files.read(path, mounts: "\(files.mount.directory):pagecache").counts.served() > 30)
    }

    @Test("several trees, each with its own option")
    func severalTrees() throws {
        let memory = try ServedFiles(.tmpfs, "file")
        let plain = try ServedFiles(.ext4, "file")
        let first = memory.mount.path("file")
        let second = plain.mount.path("file")
        let both = "\(plain.mount.directory):pagecache:\(memory.mount.directory)"
        #expect(try memory.read(first, mounts: both).counts.served() > 30)
        #expect(try memory.read(second, mounts: both).counts.served() > 30)
        let other = "\(memory.mount.directory):pagecache:\(plain.mount.directory)"
        #expect(try memory.read(first, mounts: other).counts.served() > 30)
        #expect(try memory.read(second, mounts: other).counts.served() == 0)
    }

    @Test("an unprivileged user is served as well")
    func unprivilegedUser() throws {
        if geteuid() != 0 { try Test.cancel("only root can become another user") }
        let files = try ServedFiles(.tmpfs, "file")
        _ = try spawn("/bin/chmod", ["666", files.mount.path("file")])
        _ = try spawn("/bin/chmod", ["755", "\(files.mount.directory)/.."])
        let run = try files.read(files.mount.path("file"), mounts: files.mount.directory, user: 65534)
        #expect(run.counts.served() > 30)
    }
}

@Suite("Settings, good and bad, never harm the program")
struct SettingTests {
    @Test("PMEMSHIM_DISABLE=1 leaves everything to the kernel, 0 does not")
    func disable() throws {
        let files = try ServedFiles(.tmpfs, "file")
        func served(_ value: String) throws -> Int {
            try files.read(
                files.mount.path("file"), mounts: files.mount.directory, environment: ["PMEMSHIM_DISABLE": value]
            ).counts.served()
        }
        #expect(try served("1") == 0)
        #expect(try served("0") > 30)
        #expect(try served("") > 30)
    }

    @Test("a file read once or twice is not mapped, one read often is")
    func mapAfterItsDefault() throws {
        let files = try ServedFiles(.tmpfs, "file")
        let path = files.mount.path("file")
        #expect(try files.read(path, rounds: 2, mounts: files.mount.directory, mapAfter: nil).counts.served() == 0)
        #expect(try files.read(path, rounds: 3000, mounts: files.mount.directory, mapAfter: nil).counts.served() > 2500)
    }

    @Test(
        "a bad value is noted for shimctl, and nothing is said to the program",
        arguments: [
            ("PMEMSHIM_MAP_AFTER", "many"), ("PMEMSHIM_MAP_AFTER", "-1"),
            ("PMEMSHIM_MAP_AFTER", "99999999999999999999999"), ("PMEMSHIM_FIRST_AFTER", "soon"),
            ("PMEMSHIM_MOUNTS", "relative/directory:DIR"),
            ("PMEMSHIM_MOUNTS", "pagecache:DIR"), ("PMEMSHIM_MOUNTS", "DIR:pagecash"),
            ("PMEMSHIM_DISABLE", "perhaps"), ("PMEMSHIM_MEMORY", "plenty"),
        ])
    func badValues(name: String, value: String) throws {
        let files = try ServedFiles(.tmpfs, "file")
        let text = value.replacing("DIR", with: files.mount.directory)
        let run = try files.read(
            files.mount.path("file"), rounds: name == "PMEMSHIM_FIRST_AFTER" ? 8_000 : 1_000,
            mounts: files.mount.directory, environment: [name: text], mapAfter: nil)
        if name != "PMEMSHIM_DISABLE" {
            #expect(run.counts.served() > 0)
            #expect(run.counts.notes.count == 1, "\(run.counts.notes)")
        }
    }

    @Test(
        "odd lists of mounts harm nothing",
        arguments: [
            ":::", "/nonexistent:DIR", "DIR:DIR:DIR", "DIR:", ":DIR::", "/dev/null:DIR", "/proc:DIR", "/:DIR",
            "DIR/file:DIR",
        ])
    func oddLists(list: String) throws {
        let files = try ServedFiles(.tmpfs, "file")
        let text = list.replacing("DIR", with: files.mount.directory)
        let run = try files.read(files.mount.path("file"), mounts: text)
        #expect(run.counts.served() > 30 || list == ":::")
    }

    @Test("a list of mounts longer than there is room for harms nothing")
    func longLists() throws {
        let files = try ServedFiles(.tmpfs, "file")
        let many = (0..<2000).map { "/nonexistent/directory/\($0)" }.joined(separator: ":")
        _ = try files.read(files.mount.path("file"), mounts: "\(many):\(files.mount.directory)")
        let run = try files.read(files.mount.path("file"), mounts: "\(files.mount.directory):\(many)")
        #expect(run.counts.served() > 30 || run.counts.served() == 0)
    }

    @Test(
        "a runtime directory that cannot be used costs the figures, not the program",
        arguments: ["/nonexistent/directory", "relative", "/dev/null", "/proc", "/"])
    func badRuntimeDirectory(directory: String) throws {
        let files = try ServedFiles(.tmpfs, "file")
        _ = try files.read(
            files.mount.path("file"), mounts: files.mount.directory, environment: ["PMEMSHIM_RUNTIME_DIR": directory])
    }

    @Test("a statistics file full of rubbish costs the figures, not the program")
    func rubbishStatistics() throws {
        let files = try ServedFiles(.tmpfs, "file")
        for bytes in [Data(), Data(count: 100), Data(repeating: 0xa5, count: 1 << 20)] {
            let directory = try ScratchDirectory()
            try bytes.write(to: URL(filePath: "\(directory.path)/stats"))
            _ = try files.read(
                files.mount.path("file"), mounts: files.mount.directory,
                environment: ["PMEMSHIM_RUNTIME_DIR": directory.path])
        }
    }
}

@Suite("PMEMSHIM_LOG")
struct LogTests {
    private func log(_ files: ServedFiles, _ paths: [String], mounts: String, rounds: Int = 40) throws -> [Substring] {
        let directory = try ScratchDirectory()
        let log = "\(directory.path)/log"
        for path in paths {
            _ = try files.read(
                path, path, rounds: rounds, mounts: mounts, environment: ["PMEMSHIM_LOG": log])
        }
        guard FileManager.default.fileExists(atPath: log) else { return [] }
        return try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
    }

    @Test("one line for each served file and process, with its path")
    func servedFiles() throws {
        let files = try ServedFiles(.tmpfs, "one", "two")
        let paths = [files.mount.path("one"), files.mount.path("two")]
        let lines = try log(files, paths, mounts: files.mount.directory)
        #expect(lines.count == 2)
        for (line, path) in zip(lines, paths) {
            #expect(line.contains("served \(path)") && line.hasPrefix("pmemshim["))
        }
    }

    @Test("one line for a file that is passed on, with the reason")
    func passedOn() throws {
        let files = try ServedFiles(.ext4, "file")
        let lines = try log(files, [files.mount.path("file")], mounts: files.mount.directory)
        #expect(lines.count == 1)
        #expect(lines.first?.contains("passed on \(files.mount.path("file")): this file system is not served") == true)
    }

    @Test("a file that is not on a served mount is not mentioned")
    func otherFiles() throws {
        let files = try ServedFiles(.tmpfs, "in/file", "out/file")
        #expect(try log(files, [files.mount.path("out/file")], mounts: files.mount.path("in")) == [])
    }

    @Test(
        "a log that cannot be written harms nothing",
        arguments: ["/nonexistent/log", "/", "/dev/full", "/proc/version", "", "/dev/null"])
    func unwritable(path: String) throws {
        let files = try ServedFiles(.tmpfs, "file")
        let run = try files.read(
            files.mount.path("file"), mounts: files.mount.directory, environment: ["PMEMSHIM_LOG": path])
        #expect(run.counts.served() > 30)
    }
}
