import Foundation
import TestSupport
import Testing

/// attach, detach and list beside one another, and killed: each is all or nothing.
@Suite("shimctl attach and detach at once, and killed", .serialized) struct AttachRaceTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    private struct End {
        let status: Int32
        let text: String
    }

    /// Runs two commands at once; what each ended with and said.
    private func both(_ one: [String], _ other: [String], in directory: String) throws -> [End] {
        let script = """
            one=$1; shift; "$SHIMCTL" "${@:1:one}" > "$DIR/1" 2>&1 & first=$!
            "$SHIMCTL" "${@:one+1}" > "$DIR/2" 2>&1; second=$?
            wait $first; echo $? $second
            """
        let run = try spawn(
            "/bin/bash", ["-c", script, "bash", "\(one.count)"] + one + other,
            environment: ["SHIMCTL": Shim.shimctl, "DIR": directory, "PATH": "/usr/bin:/usr/sbin"],
            timeout: .seconds(120))
        let statuses = run.stdout.split { " \n".contains($0) }.compactMap { Int32($0) }
        guard statuses.count == 2 else { throw SetupError("bash: \(run.ending) \(run.stdout)\(run.stderr)") }
        return try (0..<2).map { index in
            let text = try String(contentsOfFile: "\(directory)/\(index + 1)", encoding: .utf8)
            return End(status: statuses[index], text: text)
        }
    }

    private func loops(of image: DeviceImage) throws -> [String] {
        try spawn("/usr/sbin/losetup", ["--noheadings", "--output", "NAME", "--associated", image.path])
            .stdout.split(separator: "\n").map { $0.filter { $0 != " " } }
    }

    /// Attached under that name, with both nodes, which name its own two loop devices.
    private func expectAttached(_ image: DeviceImage, _ context: String) throws {
        let loops = try loops(of: image)
        #expect(loops.count == 2, "\(context): \(loops)")
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: image.blocks)
        #expect(target.map(loops.contains) == true, "\(context): \(target ?? "no node")")
        var node = stat()
        #expect(stat(image.pages, &node) == 0, "\(context): no node of the page arrays")
        #expect(node.st_mode & 0o777 == 0o660 && node.st_mode & S_IFMT == S_IFBLK, "\(context)")
        let isListed = try shimctl(["list"]).lines.contains { $0.contains(image.path) && $0.contains(" attached ") }
        #expect(isListed, "\(context)")
    }

    private func expectNothing(_ image: DeviceImage, _ context: String) throws {
        #expect(try loops(of: image) == [], "\(context)")
        #expect(!FileManager.default.fileExists(atPath: image.pages), "\(context)")
        #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: image.blocks)) == nil, "\(context)")
        #expect(try !shimctl(["list"]).stdout.contains(image.path), "\(context)")
    }

    @Test("of two attaches of one image under one name one does it, and the other takes nothing of it away")
    func sameImage() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        for round in 0..<20 {
            let command = ["attach", image.path, "--name", image.name]
            let ends = try both(command, command, in: image.directory)
            #expect(ends.map(\.status).sorted() == [0, 1], "round \(round): \(ends)")
            try expectAttached(image, "round \(round): \(ends)")
            #expect(try image.detach().ending == .exited(0))
            try expectNothing(image, "round \(round)")
        }
    }

    @Test("of two attaches of different images under one name one does it, and the other leaves nothing behind")
    func sameName() throws {
        let image = try DeviceImage()
        defer { image.close() }
        let other = try DeviceImage()
        defer { other.close() }
        for each in [image, other] { try each.create("--size", "64M") }
        for round in 0..<20 {
            let ends = try both(
                ["attach", image.path, "--name", image.name], ["attach", other.path, "--name", image.name],
                in: image.directory)
            #expect(ends.map(\.status).sorted() == [0, 1], "round \(round): \(ends)")
            let loser = try #require(ends.first { $0.status == 1 })
            #expect(loser.text.contains("choose another with --name"), "round \(round): \(loser.text)")
            let wins = ends[0].status == 0
            #expect(try loops(of: wins ? image : other).count == 2, "round \(round)")
            #expect(try loops(of: wins ? other : image) == [], "round \(round)")
            #expect(FileManager.default.fileExists(atPath: image.pages), "round \(round): the winner's node")
            #expect(try shimctl(["detach", image.name]).ending == .exited(0))
            try expectNothing(image, "round \(round)")
        }
    }

    @Test("an attach and a detach at once leave the device attached, or not, and nothing between")
    func attachAndDetach() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        for round in 0..<20 {
            if round % 2 == 0 { #expect(try image.attach().ending == .exited(0)) }
            let ends = try both(
                ["attach", image.path, "--name", image.name], ["detach", image.path], in: image.directory)
            if try loops(of: image).isEmpty {
                try expectNothing(image, "round \(round): \(ends)")
            } else {
                try expectAttached(image, "round \(round): \(ends)")
                #expect(try image.detach().ending == .exited(0))
            }
        }
    }

    /// Those that change something, or ask the kernel for it.
    private static let calls = [
        "ioctl", "flock", "symlink", "symlinkat", "mknod", "mknodat", "rename", "renameat", "unlink", "unlinkat",
        "fsync",
        "pwrite64", "chmod", "fchmodat", "chown", "fchownat", "fchmod",
    ]

    /// Killed before each of those calls in turn (strace counts them by name); how often it was.
    private func killed(_ arguments: [String], _ afterwards: (String) throws -> Void) throws -> Int {
        var count = 0
        for call in Self.calls {
            for number in 1...100 {
                let tracing = [
                    "-f", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
                    "inject=\(call):signal=SIGKILL:when=\(number)",
                ]
                let run = try spawn(
                    "/usr/bin/strace", tracing + [Shim.shimctl] + arguments, timeout: .seconds(120))
                try afterwards("killed before \(call) number \(number)")
                if run.ending == .exited(0) { break }
                #expect(
                    run.ending == .signalled(SIGKILL) || run.ending == .exited(137),
                    "\(call) \(number): \(run.ending) \(run.stderr)")
                count += 1
            }
        }
        return count
    }

    @Test("an attach that is killed at any step can be taken away, and done again")
    func killedAttach() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        let steps = try killed(["attach", image.path, "--name", image.name]) { step in
            _ = try image.detach()
            try expectNothing(image, step)
            let again = try image.attach()
            #expect(again.ending == .exited(0), "\(step): \(again.stderr)")
            try expectAttached(image, step)
            #expect(try image.detach().ending == .exited(0))
        }
        #expect(steps > 20, "only \(steps) steps were seen")
    }

    @Test("a detach that is killed at any step can be done again")
    func killedDetach() throws {
        let image = try DeviceImage(size: "64M", attached: true)
        defer { image.close() }
        let steps = try killed(["detach", image.path]) { step in
            _ = try image.detach()
            try expectNothing(image, step)
            let again = try image.attach()
            #expect(again.ending == .exited(0), "\(step): \(again.stderr)")
            try expectAttached(image, step)
        }
        #expect(steps > 12, "only \(steps) steps were seen")
    }

    @Test("who has the lock is waited for, and a holder that is killed is in nobody's way")
    func lock() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        // Holds the lock until it is killed; the attach is started meanwhile, and must not end before.
        let script = """
            mkdir -p /run/pmemshim
            flock --no-fork /run/pmemshim/lock sleep 100 & holder=$!
            until ! flock --nonblock /run/pmemshim/lock true; do :; done
            "$SHIMCTL" attach "$1" --name "$2" & attach=$!
            sleep 0.5
            kill -0 $attach && test ! -e "/dev/pmemshim/$2" && echo waits
            kill -KILL $holder
            wait $attach && echo attached
            """
        let run = try spawn(
            "/bin/bash", ["-c", script, "bash", image.path, image.name],
            environment: ["SHIMCTL": Shim.shimctl, "PATH": "/usr/bin:/usr/sbin"], timeout: .seconds(120))
        #expect(run.stdout.hasPrefix("waits\n"), "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.hasSuffix("attached\n"), "\(run.stdout)\(run.stderr)")
        try expectAttached(image, "after the wait")
        #expect(try image.detach().ending == .exited(0))
    }
}

@Suite("shimctl detach forgets nothing too early, and takes nobody else's", .serialized) struct DetachTests {
    init() throws { try DeviceImage.skipUnlessAttachable() }

    @Test("a device that cannot be written back stays attached and is said to have lost data; then it can be detached")
    func writeBack() throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 16)
        defer { mount.close() }
        if !mount.isWholeFileSystem { try Test.cancel("a tmpfs of its own needs root") }
        let image = try DeviceImage(in: mount.directory)
        defer { image.close() }
        try image.create("--size", "64M")
        try #require(try image.attach().ending == .exited(0))
        let filler = mount.path("filler")
        _ = try spawn("/usr/bin/dd", ["if=/dev/zero", "of=\(filler)", "bs=4096", "status=none"])
        _ = try spawn("/usr/bin/dd", ["if=/dev/urandom", "of=\(image.blocks)", "bs=1M", "count=8", "status=none"])
        let failed = try image.detach()
        #expect(failed.ending == .exited(1))
        #expect(failed.stderr.contains("is lost in part"), "\(failed.stderr)")
        #expect(try shimctl(["list"]).lines.contains { $0.contains(image.path) && $0.contains(" attached ") })
        #expect(FileManager.default.fileExists(atPath: image.pages))
        #expect(try spawn("/usr/sbin/losetup", ["--associated", image.path]).lines.count == 3)
        try FileManager.default.removeItem(atPath: filler)
        let again = try image.detach()
        #expect(again.ending == .exited(0), "\(again.stderr)")
        #expect(again.stderr.contains("could not write everything back"), "\(again.stderr)")
        #expect(try spawn("/usr/sbin/losetup", ["--associated", image.path]).stdout == "")
        #expect(try !shimctl(["list"]).stdout.contains(image.path))
    }

    @Test("a copy of an attached image, and another file under its name, are not attached; the image is, by any name")
    func copies() throws {
        let image = try DeviceImage(size: "64M")
        defer { image.close() }
        try require("/usr/bin/cp", [image.path, "\(image.directory)/copy.img"])
        try #require(try image.attach().ending == .exited(0))
        let copy = try shimctl(["detach", "\(image.directory)/copy.img"])
        #expect(copy.ending == .exited(1))
        #expect(copy.stderr.contains("is not attached"), "\(copy.stderr)")
        let moved = "\(image.directory)/moved.img"
        try FileManager.default.moveItem(atPath: image.path, toPath: moved)
        try FileManager.default.moveItem(atPath: "\(image.directory)/copy.img", toPath: image.path)
        let other = try shimctl(["detach", image.path])
        #expect(other.ending == .exited(1))
        #expect(other.stderr.contains("another file that had this name is, as \(image.name)"), "\(other.stderr)")
        #expect(try spawn("/usr/sbin/losetup", ["--associated", moved]).lines.count == 3)
        #expect(try shimctl(["detach", moved]).ending == .exited(0))
        #expect(try spawn("/usr/sbin/losetup", ["--associated", moved]).stdout == "")
        #expect(!FileManager.default.fileExists(atPath: image.pages))
    }
}
