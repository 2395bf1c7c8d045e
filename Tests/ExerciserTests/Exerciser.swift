import Foundation
import TestSupport
import Testing

/// One call of the exerciser: where, what, and how much of it.
struct Exercise: Sendable, CustomTestStringConvertible {
    let kind: ScratchMount.Kind
    let firstSeed: UInt64
    let sequences: Int
    /// Operations in each sequence.
    let length: Int
    /// `PMEMSHIM_MAP_AFTER`; nil leaves the shim's own rule.
    var mapAfter: Int? = 0
    var options: [String] = []
    /// Whether a substantial part of the calls must have been served.
    var isServed = true
    /// Both sides on small file systems of their own, which the exerciser may fill.
    var ownFileSystems = false
    /// The runtime directory is on a small file system of its own, and is damaged (mode `runtime`).
    var damagesRuntime = false
    /// The mount may be mounted anew with other options (modes `huge` and `sync`), as far as it is one of the test's
    /// own.
    var ownMount = false
    /// Further items of PMEMSHIM_MOUNTS.
    var alsoServed: [String] = []
    /// Room on the mount. Files of 2 GiB with all their pages need as much.
    var mebibytes = 256

    var operations: Int { sequences * length }

    var testDescription: String {
        "\(kind), seeds \(firstSeed)..<\(firstSeed + UInt64(sequences)) of \(length) operations"
            + (options.isEmpty ? "" : ", \(options.joined(separator: " "))")
    }
}

/// What the exerciser said of itself at its end.
struct Exercised {
    let run: Run
    /// Operations done on both sides and compared; those it had to leave out are not among them.
    let operations: Int
    let differences: Int

    /// Of all calls on served files, those that were served, 0 to 1.
    var servedShare: Double {
        let all = run.counts.served() + run.counts.passedOn
        return all == 0 ? 0 : Double(run.counts.served()) / Double(all)
    }

    /// How often an operation of this kind was done; 0 with `--quiet`, which prints no counts.
    func done(_ kind: String) -> Int {
        // fork                    21        21 succeeded
        let line = run.lines.map { $0.split(separator: " ") }.first { $0.first == kind[...] && $0.last == "succeeded" }
        return line.flatMap { $0.count == 4 ? Int($0[1]) : nil } ?? 0
    }

    init(_ run: Run) {
        self.run = run
        // seeds 1..3: 3 sequences, 8541 operations (459 skipped), differences 0
        let summary = run.lines.last { $0.hasPrefix("seeds ") } ?? ""
        let words = summary.split(whereSeparator: { $0 == " " || $0 == "," })
        func number(before word: Substring) -> Int? {
            words.firstIndex(of: word).flatMap { $0 > 0 ? Int(words[$0 - 1]) : nil }
        }
        operations = number(before: "operations") ?? 0
        differences = words.last.flatMap { Int($0) } ?? -1
    }
}

extension Exercise {
    /// Runs it on a mount of its own, in which one directory is served, one is the reference, and one lies outside.
    /// - Parameters:
    ///   - preload: under the shim; otherwise both sides are the kernel's.
    ///   - sabotage: a defect put between the served side and libc (`exerciser --help` lists them).
    func perform(preload: Bool = true, sabotage: String? = nil, save: String? = nil, load: String? = nil) throws
        -> Exercised
    {
        let mount = try ScratchMount(kind, mebibytes: mebibytes)
        defer { mount.close() }
        for name in ["served", "reference", "outside"] {
            try FileManager.default.createDirectory(atPath: mount.path(name), withIntermediateDirectories: false)
        }
        var sides = [mount.path("served"), mount.path("reference")]
        let small = try ownFileSystems ? sides.map { _ in try ScratchMount(.tmpfs, mebibytes: 16) } : []
        defer { for each in small { each.close() } }
        if ownFileSystems {
            guard small.allSatisfy(\.isWholeFileSystem) else { throw SetupError("this user may not mount") }
            sides = small.map(\.directory)
        }
        var arguments = [
            "--served", sides[0], "--reference", sides[1], "--outside", mount.path("outside"), "--seed", "\(firstSeed)",
            "--sequences", "\(sequences)", "--ops", "\(length)",
        ]
        arguments += options
        if ownMount, mount.isWholeFileSystem { arguments.append("--own-mount") }
        if let save { arguments += ["--save", save] }
        if let load { arguments += ["--load", load] }
        let runtime = try damagesRuntime ? ScratchMount(.tmpfs, mebibytes: 16) : nil
        defer { runtime?.close() }
        if let runtime {
            guard runtime.isWholeFileSystem else { throw SetupError("this user may not mount") }
            // A directory in it, so that it can be removed.
            arguments += ["--runtime", runtime.path("run")]
            try FileManager.default.createDirectory(
                atPath: runtime.path("run"), withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        }
        let item = kind == .ext4 ? "\(sides[0]):pagecache" : sides[0]
        let result = try run(
            Programs.path("exerciser"), arguments,
            environment: sabotage.map { ["EXERCISER_SABOTAGE": $0] } ?? [:], preload: preload,
            mounts: alsoServed + [item],
            mapAfter: mapAfter, runtimeDirectory: runtime?.path("run"), timeout: .seconds(600))
        return Exercised(result)
    }
}

func skipIfUnavailable(_ kind: ScratchMount.Kind) throws {
    if let reason = kind.unavailability { try Test.cancel(Comment(rawValue: reason)) }
}
