import Foundation
import TestSupport
import Testing

/// Threads, processes, kills, truncation during calls and faults. Seeds are fixed; `scripts/test --soak` takes fresh
/// ones.
private let plan: [Exercise] = [
    Exercise(kind: .tmpfs, firstSeed: 1, sequences: 6, length: 2000, options: ["--modes", "all"]),
    Exercise(kind: .tmpfs, firstSeed: 2000, sequences: 2, length: 2000, mapAfter: nil, options: ["--modes", "all"]),
    Exercise(
        kind: .tmpfs, firstSeed: 3000, sequences: 4, length: 2000, options: ["--modes", "threads,exec,faults"],
        ownFileSystems: true),
    Exercise(kind: .tmpfsHuge, firstSeed: 4000, sequences: 2, length: 500, options: ["--huge", "--modes", "all"]),
    Exercise(kind: .ext4, firstSeed: 5000, sequences: 3, length: 2000, options: ["--modes", "all"]),
    Exercise(kind: .tmpfs, firstSeed: 6000, sequences: 6, length: 2000, options: ["--modes", "jumps"]),
    Exercise(kind: .tmpfs, firstSeed: 6100, sequences: 6, length: 2000, options: ["--modes", "vectors"]),
    Exercise(kind: .tmpfs, firstSeed: 6200, sequences: 6, length: 2000, options: ["--modes", "handles"]),
    Exercise(kind: .tmpfsHuge, firstSeed: 6300, sequences: 3, length: 500, options: ["--huge", "--modes", ways]),
    Exercise(kind: .ext4, firstSeed: 6400, sequences: 4, length: 1000, options: ["--modes", ways]),
    Exercise(kind: .tmpfs, firstSeed: 6600, sequences: 10, length: 2000, options: ["--modes", "aio"]),
    Exercise(kind: .ext4, firstSeed: 6700, sequences: 6, length: 1500, options: ["--modes", "aio,threads"]),
    Exercise(kind: .tmpfs, firstSeed: 6500, sequences: 3, length: 2000, mapAfter: nil, options: ["--modes", ways]),
    Exercise(kind: .tmpfs, firstSeed: 8000, sequences: 8, length: 2000, options: ["--modes", changes], ownMount: true),
    Exercise(
        kind: .tmpfs, firstSeed: 8100, sequences: 3, length: 2000, mapAfter: 24, options: ["--modes", changes],
        ownMount: true),
    Exercise(
        kind: .tmpfsHuge, firstSeed: 8200, sequences: 3, length: 500, options: ["--huge", "--modes", changes],
        ownMount: true),
    Exercise(kind: .ext4, firstSeed: 8300, sequences: 4, length: 1500, options: ["--modes", changes], ownMount: true),
    // Files in memory lie in no directory, not even in this one. An engine that thinks they do serves those of several
    // MiB.
    Exercise(
        kind: .tmpfs, firstSeed: 8400, sequences: 8, length: 500, options: ["--huge", "--modes", "seals"],
        alsoServed: ["/"]),
]

/// What changes after it was learnt.
private let changes = "threads,huge,seals,sync"

/// Ways past what a preload sees.
private let ways = "jumps,vectors,handles"

@Suite("Threads, processes, kills and faults give the same with the shim and without it", .serialized)
struct ModeTests {
    @Test("step by step, whichever process and thread does the step", arguments: plan)
    func fixedSeeds(exercise: Exercise) throws {
        try skipIfUnavailable(exercise.kind)
        let exercised = try exercise.perform()
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 0)
        #expect(exercised.operations >= exercise.operations * 7 / 10)
        // After mlockall or with RLIMIT_AS set nothing is served: a good part of it still must have been.
        #expect(exercised.servedShare > 0.02, "\(exercised.run.counts.calls)")
    }

    /// Files that are full, cut, gone, or something else. What was served cannot be read from them then.
    @Test(
        "the shim's own files may be damaged at any moment", arguments: ["runtime", "all"], [0, nil])
    func runtimeDamaged(modes: String, mapAfter: Int?) throws {
        let exercise = Exercise(
            kind: .tmpfs, firstSeed: 7000, sequences: 8, length: 1500, mapAfter: mapAfter,
            options: ["--modes", modes, "--timeout", "60"], damagesRuntime: true)
        let exercised = try exercise.perform()
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 0)
        #expect(exercised.operations >= exercise.operations * 7 / 10)
        #expect(exercised.done("runtime") >= 10)
    }

    /// Sparse, so that the kernel does it all; and with their pages, so that the shim may.
    @Test("one call of more than the kernel moves moves what the kernel does")
    func beyondTheMost() throws {
        let scratch = try ScratchDirectory()
        let ways = [
            "read", "readv", "preadv", "pread-full", "read-full", "preadv-full", "pwrite-full", "write-full",
            "writev-full",
        ]
        for way in ways {
            let file = "\(scratch.path)/sequence"
            try "seed=1 huge=0 modes=counts\nfar variant=2 choice=\(way)\n".write(
                toFile: file, atomically: false, encoding: .utf8)
            let exercised = try Exercise(
                kind: .tmpfs, firstSeed: 1, sequences: 1, length: 1, options: ["--no-minimise"], mebibytes: 2600
            ).perform(load: file)
            #expect(exercised.run.ending == .exited(0), "\(way): \(exercised.run.stdout)\(exercised.run.stderr)")
            // Where there is no memory for it, it is left out.
            if !way.hasSuffix("full") { #expect(exercised.done("far") == 1, "\(exercised.run.stdout)") }
        }
    }

    @Test("each kind of operation of each mode is done many times")
    func allAreDone() throws {
        let exercised = try Exercise(
            kind: .tmpfs, firstSeed: 140, sequences: 12, length: 2000, options: ["--modes", "all"],
            damagesRuntime: true, ownMount: true
        ).perform(preload: false)
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        let kinds = [
            "worker", "handler", "race", "fork", "switch", "exit", "send", "receive", "vfork", "exec", "spawn", "kill",
            "killed", "shaken", "address-limit", "lock-memory", "block", "filter", "mark", "jump-home", "jump",
            "jump-cut", "readv-inside", "preadv-inside", "writev-inside", "pwritev-inside", "far", "handle-dup2",
            "handle-dup3", "handle-close", "handle-setfl", "handle-ftruncate", "handle-fallocate", "handle-pread",
            "handle-pwrite", "handle-limit", "handle-lock-memory", "runtime", "collapse", "collapse-cut", "memfd",
            "seal",
            "sync-open", "sync-attribute", "aio-read", "aio-write",
        ]
        for kind in kinds { #expect(exercised.done(kind) >= 3, "\(kind): \(exercised.run.stdout)") }
    }

    @Test("mounts are mounted anew while files on them are in use", arguments: [ScratchMount.Kind.tmpfs, .ext4])
    func remounts(kind: ScratchMount.Kind) throws {
        try skipIfUnavailable(kind)
        guard geteuid() == 0 else { try Test.cancel("this user may not mount") }
        let exercised = try Exercise(
            kind: kind, firstSeed: 8500, sequences: 3, length: 1500, options: ["--modes", "huge,sync"], ownMount: true
        ).perform()
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.done(kind == .tmpfs ? "remount" : "sync-mount") >= 3, "\(exercised.run.stdout)")
    }

    @Test("a full file system is met")
    func fullIsMet() throws {
        let exercised = try Exercise(
            kind: .tmpfs, firstSeed: 1, sequences: 8, length: 2000, options: ["--modes", "faults"], ownFileSystems: true
        ).perform(preload: false)
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.done("fill") >= 3)
    }
}

@Suite("The exerciser finds what only a mode shows")
struct ModeSabotageTests {
    /// A defect that is harmless in one thread of one undisturbed process, and the modes that show it.
    struct Defect: Sendable, CustomTestStringConvertible {
        let name: String
        let modes: String
        /// It shows only when two things happen at once: the shortened sequence is tried several times.
        var isRace = false
        var ownFileSystems = false
        var damagesRuntime = false
        var kind = ScratchMount.Kind.tmpfs
        /// Operations in each sequence.
        var length = 1500

        var testDescription: String { "\(name) by \(modes)" }

        func exercise(options: [String]) -> Exercise {
            Exercise(
                kind: kind, firstSeed: 1, sequences: 30, length: length, options: ["--quiet"] + options,
                ownFileSystems: ownFileSystems, damagesRuntime: damagesRuntime, ownMount: true)
        }
    }

    static let defects = [
        Defect(name: "own-offset", modes: "fork"),
        Defect(name: "rewound", modes: "exec"),
        Defect(name: "backward", modes: "kill", isRace: true),
        Defect(name: "late-byte", modes: "kill", isRace: true),
        Defect(name: "two-steps", modes: "threads", isRace: true),
        Defect(name: "one-buffer", modes: "threads", isRace: true),
        Defect(name: "one-thread", modes: "threads"),
        Defect(name: "in-handler", modes: "threads"),
        Defect(name: "unguarded", modes: "truncation", isRace: true),
        Defect(name: "needs-mapping", modes: "faults"),
        Defect(name: "locked", modes: "faults"),
        Defect(name: "blocked", modes: "faults"),
        Defect(name: "boundless", modes: "faults", ownFileSystems: true),
        Defect(name: "jumped", modes: "jumps"),
        Defect(name: "vector-again", modes: "vectors"),
        Defect(name: "vector-written", modes: "vectors"),
        Defect(name: "too-much", modes: "counts"),
        Defect(name: "by-handle", modes: "handles"),
        Defect(name: "plain-count", modes: "runtime", damagesRuntime: true),
        Defect(name: "beyond-end", modes: "huge"),
        Defect(name: "kept-map", modes: "seals"),
        Defect(name: "sync-byte", modes: "sync", kind: .ext4, length: 600),
        Defect(name: "hasty", modes: "aio"),
        Defect(name: "halved-copy", modes: "threads", isRace: true),
    ]

    @Test("a defect is found and shortened to what replays it", arguments: defects)
    func found(defect: Defect) throws {
        try skipIfUnavailable(defect.kind)
        let scratch = try ScratchDirectory()
        let file = "\(scratch.path)/sequence"
        let finding = defect.exercise(options: ["--modes", defect.modes, "--minimise-seconds", "3", "--tries", "3"])
        let exercised = try finding.perform(preload: false, sabotage: defect.name, save: file)
        #expect(exercised.run.ending == .exited(1), "\(exercised.run.stdout)\(exercised.run.stderr)")
        #expect(exercised.differences == 1)

        // What depends on the moment may need many tries to show again: a kill between two halves of one write was seen
        // to take more than 20. One is a few operations.
        let replays = defect.exercise(options: ["--no-minimise"])
        let tries = defect.isRace ? 400 : 1
        let again = try (0..<tries).contains { _ in
            try replays.perform(preload: false, sabotage: defect.name, load: file).run.ending == .exited(1)
        }
        #expect(again, "the shortened sequence shows it no more:\n\(exercised.run.stdout)")
        let healthy = try replays.perform(preload: false, load: file)
        #expect(healthy.run.ending == .exited(0), "it is not the defect that it shows:\n\(healthy.run.stdout)")
    }

    @Test("the end of a file in a huge page that came by a remount is found as well")
    func remountIsFound() throws {
        guard geteuid() == 0 else { try Test.cancel("this user may not mount") }
        let file = "\(Shim.packageRoot)/Tests/Programs/exerciser/found/remounted-huge.ops"
        let sabotaged = try Self.defects.first { $0.name == "beyond-end" }?.exercise(options: ["--no-minimise"])
            .perform(preload: false, sabotage: "beyond-end", load: file)
        #expect(sabotaged?.run.ending == .exited(1), "\(sabotaged?.run.stdout ?? "")")
    }

    @Test("without its mode it is harmless: the mode is what finds it", arguments: defects)
    func harmlessWithoutTheMode(defect: Defect) throws {
        try skipIfUnavailable(defect.kind)
        let exercise = Exercise(
            kind: defect.kind, firstSeed: 1, sequences: 1, length: 1500, options: ["--quiet"],
            ownFileSystems: defect.ownFileSystems, damagesRuntime: defect.damagesRuntime)
        let exercised = try exercise.perform(preload: false, sabotage: defect.name)
        #expect(exercised.run.ending == .exited(0), "\(exercised.run.stdout)\(exercised.run.stderr)")
    }

    @Test("the modes are in the sequence's text, and a sequence without them is what it always was")
    func modesAreKept() throws {
        let scratch = try ScratchDirectory()
        let program = try Programs.path("exerciser")
        let arguments = ["--print", "--seed", "9", "--ops", "3000"]
        let printed = try run(program, arguments + ["--modes", "fork,kill"], preload: false)
        #expect(printed.lines.contains("seed=9 huge=0 modes=fork,kill"))
        try printed.stdout.write(toFile: "\(scratch.path)/sequence", atomically: false, encoding: .utf8)
        let again = try run(program, ["--print", "--load", "\(scratch.path)/sequence"], preload: false)
        #expect(again.output == printed.output)
        let plain = try run(program, arguments, preload: false)
        #expect(plain.lines.contains("seed=9 huge=0"))
        #expect(!plain.stdout.contains("fork"))
    }
}
