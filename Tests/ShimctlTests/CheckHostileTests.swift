import Foundation
import TestSupport
import Testing

/// Files that are no programs: `shimctl check` says so with exit status 2, and never crashes.
struct CheckHostileTests {
    private func file(_ bytes: [UInt8]) throws -> (ScratchDirectory, String) {
        let scratch = try ScratchDirectory()
        let path = "\(scratch.path)/file"
        try Data(bytes).write(to: URL(filePath: path))
        return (scratch, path)
    }

    private func expectUndecided(
        _ program: String, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let run = try shimctl("check", program)
        #expect(run.ending == .exited(2), sourceLocation: sourceLocation)
        #expect(run.stdout == "", sourceLocation: sourceLocation)
        for word in words { #expect(run.stderr.contains(word), "\(run.stderr)", sourceLocation: sourceLocation) }
    }

    @Test func refusesWhatDoesNotExist() throws {
        try expectUndecided("/no/such/program", "/no/such/program", "No such file")
        try expectUndecided("no-such-program-anywhere", "PATH")
    }

    @Test func refusesDirectoriesAndDevices() throws {
        try expectUndecided("/tmp", "regular file")
        try expectUndecided("/dev/null", "regular file")
    }

    @Test func refusesText() throws { try expectUndecided("/etc/passwd", "neither an ELF file nor a script") }

    @Test func refusesAnEmptyFile() throws {
        let (scratch, path) = try file([])
        defer { scratch.close() }
        try expectUndecided(path, "neither an ELF file nor a script")
    }

    @Test func refusesAnObjectFile() throws {
        let object = try Compiled("int x;", name: "x.o", ["-c"])
        try expectUndecided(object.path, "neither program nor library")
    }

    @Test func refusesAScriptThatInterpretsItself() throws {
        let scratch = try ScratchDirectory()
        let path = "\(scratch.path)/loop"
        try "#!\(path)\n".write(toFile: path, atomically: false, encoding: .utf8)
        try expectUndecided(path, "without end")
    }

    @Test func refusesAScriptWithoutInterpreter() throws {
        let (scratch, path) = try file(Array("#!  \n".utf8))
        defer { scratch.close() }
        try expectUndecided(path, "no interpreter")
    }

    @Test func refusesAScriptOfAMissingInterpreter() throws {
        let (scratch, path) = try file(Array("#!/no/such/interpreter\n".utf8))
        defer { scratch.close() }
        try expectUndecided(path, "/no/such/interpreter")
    }

    @Test(arguments: [4, 5, 16, 40, 63]) func refusesAHeaderThatIsCut(_ length: Int) throws {
        let whole = try [UInt8](Data(contentsOf: URL(filePath: "/bin/ls")))
        let (scratch, path) = try file(Array(whole[..<length]))
        defer { scratch.close() }
        try expectUndecided(path)
    }

    @Test func doesNotServe32BitPrograms() throws {
        // An ELF header of class 32 for the i386, without segments.
        var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1] + [UInt8](repeating: 0, count: 9)
        header += [2, 0, 3, 0, 1, 0, 0, 0] + [UInt8](repeating: 0, count: 16)
        header += [52, 0, 32, 0, 0, 0, 40, 0, 0, 0, 0, 0]
        let (scratch, path) = try file(header)
        defer { scratch.close() }
        let run = try shimctl("check", path)
        #expect(run.ending == .exited(1), "\(run.stderr)")
        #expect(run.stdout.contains("i386"))
    }

    @Test func doesNotServeProgramsOfOtherMachines() throws {
        var whole = try [UInt8](Data(contentsOf: URL(filePath: "/bin/true")))
        whole[18] = 0xb7
        let (scratch, path) = try file(whole)
        defer { scratch.close() }
        let run = try shimctl("check", path)
        #expect(run.ending == .exited(1))
        #expect(run.stdout.contains("aarch64"))
    }

    @Test func judgesCutProgramsWithoutCrashing() throws {
        let whole = try [UInt8](Data(contentsOf: URL(filePath: "/bin/cat")))
        for part in 1..<16 {
            let (scratch, path) = try file(Array(whole[..<(whole.count * part / 16)]))
            defer { scratch.close() }
            let run = try shimctl("check", path)
            #expect([.exited(0), .exited(1), .exited(2)].contains(run.ending), "\(part)/16: \(run.ending)")
        }
    }

    /// Headers, dynamic section and symbol table are where numbers lead elsewhere: each gets its share of hits.
    @Test(arguments: 0..<40) func judgesDamagedProgramsWithoutCrashing(_ seed: Int) throws {
        var whole = try [UInt8](Data(contentsOf: URL(filePath: "/bin/cat")))
        var random = SplitMix(state: UInt64(seed))
        let ranges = [4..<64, 64..<1024, 1024..<8192, whole.count - 4096..<whole.count]
        for _ in 0..<(1 + seed % 8) {
            let range = ranges[Int(random.next() % UInt64(ranges.count))]
            let place = range.lowerBound + Int(random.next() % UInt64(range.count))
            whole[place] = [0, 0xff, 0x7f, 0x80, UInt8(truncatingIfNeeded: random.next())][Int(random.next() % 5)]
        }
        let (scratch, path) = try file(whole)
        defer { scratch.close() }
        let run = try shimctl("check", "--json", path)
        #expect([.exited(0), .exited(1), .exited(2)].contains(run.ending), "seed \(seed): \(run.ending)")
    }
}

/// The same numbers for the same seed, so that a failure can be had again.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
