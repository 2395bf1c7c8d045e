import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// What is so of a process that runs: is the library in it, are its settings right, what of its files is served.
struct ProcessFindings {
    let process: ProcessView
    /// The service whose main process it is, if it was asked for by that.
    let service: Service?

    init(pid: Int32, service: Service? = nil) {
        process = ProcessView(pid: pid)
        self.service = service
    }

    var all: [Finding] {
        guard process.exists else { return [Finding(.error, "process \(process.pid)", "there is no such process")] }
        guard process.isReadable else {
            return [
                Finding(
                    .error, "process \(process.pid)", "\(process.command) belongs to another user",
                    cure: "ask as root, or as that user")
            ]
        }
        let library = library
        guard let path = library.path else {
            // Settings of a process without the library say nothing.
            return [library.finding]
        }
        return [library.finding] + applied + environment + figures(of: path) + files + limits
    }

    /// Where the library is in it, as /proc/PID/maps names it.
    private var library: (finding: Finding, path: String?) {
        let found = process.mappings.first { mapping in
            let name = mapping.path.hasSuffix(" (deleted)") ? String(mapping.path.dropLast(10)) : mapping.path
            return FilePath(name).lastComponent?.string == ShimLibrary.fileName
        }
        let who = "\(process.command) (\(process.pid))"
        guard let found else { return (absent(who), nil) }
        if found.path.hasSuffix(" (deleted)") {
            let text = "\(who) runs with a library that has been replaced or removed since: \(found.path)"
            return (Finding(.warning, "library", text, cure: "restart it to use the new one"), found.path)
        }
        let version = LibraryVersion.of(FilePath("/proc/\(process.pid)/root" + found.path)) ?? "unknown"
        let text = "\(who) has \(found.path), version \(version)"
        guard version == Shimctl.versionNumber else {
            return (
                Finding(
                    .warning, "library", "\(text); shimctl is \(Shimctl.versionNumber)",
                    cure: "restart it after an upgrade"), found.path
            )
        }
        return (Finding(.ok, "library", text), found.path)
    }

    /// Whether what the service is started with has changed since.
    private var isApplied: Bool {
        guard let service, let file = try? service.file(), let text = try? file.file.text() else { return false }
        return file.variables(in: text) != nil
    }

    private var applied: [Finding] {
        guard let service, !isApplied else { return [] }
        return [
            Finding(
                .note, "library", "it keeps it until it is restarted: nothing is applied to \(service.name) any more",
                cure: service.restart)
        ]
    }

    private func absent(_ who: String) -> Finding {
        if let service, isApplied {
            return Finding(
                .error, "library", "\(who) was started before the profile was applied", cure: service.restart)
        }
        let preload = process.environment["LD_PRELOAD"] ?? ""
        if preload.contains(ShimLibrary.fileName) {
            return Finding(
                .error, "library", "\(who) has it in LD_PRELOAD, but not in it: the loader did not find or take it",
                cure:
                    "shimctl check \(process.command) tells whether it can be served; the file must be readable for its"
                    + " user")
        }
        return Finding(
            .error, "library",
            "\(who) does not have it: LD_PRELOAD is \(preload.isEmpty ? "not set" : "\"\(preload)\"")",
            cure: "start it with shimctl run, or shimctl profile apply SERVICE, or what shimctl env prints")
    }

    /// Its settings, judged as `run` judges them.
    private var environment: [Finding] {
        if process.hasOverwrittenEnvironment {
            let places = countedMounts.joined(separator: ", ")
            return [
                Finding(
                    .note, "settings",
                    "its environment is overwritten (a program does that for its title in ps)"
                        + (places.isEmpty ? "" : "; its figures are of \(places)"))
            ]
        }
        let variables = process.environment.filter { $0.key.hasPrefix("PMEMSHIM_") }
        var findings: [Finding] = []
        do {
            let environment = try ShimEnvironment(
                inherited: variables, mountArguments: [], logArgument: nil,
                user: process.effectiveUser ?? geteuid())
            if environment.isDisabled {
                findings.append(
                    Finding(.error, "settings", "PMEMSHIM_DISABLE=1: all is passed on", cure: "unset it and restart"))
            }
            if environment.servesNothing {
                findings.append(
                    Finding(
                        .error, "settings",
                        "no directory is named, and there is neither a DAX mount nor an attached device",
                        cure: "set PMEMSHIM_MOUNTS (shimctl env --mount DIR)"))
            }
            if findings.isEmpty {
                let names = variables.keys.sorted().map { "\($0)=\(variables[$0] ?? "")" }.joined(separator: " ")
                findings.append(Finding(.ok, "settings", names.isEmpty ? "none: DAX mounts are found" : names))
            }
            for item in environment.mounts { findings += MountFindings(item: item).problems }
        } catch {
            findings.append(
                Finding(
                    .error, "settings", "\(error)",
                    cure: "correct it where the process is started (shimctl env prints it)"))
        }
        return findings
    }

    /// Its own figures; nothing where there are none, or they are another user's.
    private func record() throws -> StatsSnapshot.Process? {
        guard let user = process.effectiveUser, user == geteuid() || geteuid() == 0 else { return nil }
        let named = process.environment[ps_setting.runtimeDirectory.variable]
        let place =
            named.flatMap { $0.isEmpty ? nil : RuntimePlace(directory: FilePath($0), owner: user) }
            ?? RuntimePlace(ofUser: user)
        return try StatsFile.snapshot(in: place).processes.first { $0.pid == process.pid && $0.isLive }
    }

    /// What its calls took, and would have taken without the library, on the mounts that were measured.
    var worth: [Finding] {
        guard let record = try? record() else { return [] }
        return record.mounts.flatMap { mount -> [Finding] in
            let place = FilePath(mount.path)
            guard let kept = (try? RuntimePlace()).flatMap({ Calibration.kept(for: place, in: $0) }) else {
                return [
                    Finding(
                        .note, mount.path, "not measured yet: nothing can be said of time",
                        cure: "shimctl bench --quick \(mount.path)")
                ]
            }
            let estimate = Estimate(mount.counters, processes: mount.windowsTotal > 0 ? 1 : 0, by: kept)
            let text =
                "its data calls would have taken \(Figures.duration(estimate.native)) of CPU time, and took"
                + " \(Figures.duration(estimate.shim)) with all that windows cost:"
                + " \(Figures.duration(estimate.saved)) saved"
            let losses = estimate.losses.prefix(3).filter { $0.ns > estimate.native / 50 }.map {
                Finding(.note, "lost", "\($0.title): \(Figures.duration($0.ns))", cure: $0.outcome.cure)
            }
            return [Finding(estimate.saved < 0 ? .warning : .ok, mount.path, text)] + losses
        }
    }

    private var countedMounts: [String] { (try? record())?.mounts.map(\.path) ?? [] }

    /// What it has counted.
    private func figures(of path: String) -> [Finding] {
        do {
            guard let record = try record() else {
                return [
                    Finding(
                        .note, "figures", "none yet: it has not used a file of a served mount for long",
                        cure: "the first file is looked at after \(ps_setting.firstCalls) calls (PMEMSHIM_FIRST_AFTER)")
                ]
            }
            let counters = record.counters
            let share =
                "\(Figures.percentText(counters.served, of: counters.total)) % of"
                + " \(Figures.count(counters.total)) data calls served"
            var findings = [Finding(.ok, "figures", share)]
            if !record.note.isEmpty { findings.append(Finding(.warning, "figures", record.note)) }
            return findings + reasons(counters)
        } catch {
            return [Finding(.warning, "figures", "\(error)")]
        }
    }

    /// Why so much was passed on, where it is much.
    private func reasons(_ counters: CallCounters) -> [Finding] {
        CallOutcome.allCases.dropFirst().compactMap { outcome in
            let calls = CallFamily.allCases.reduce(UInt64(0)) {
                $1.kind == .other ? $0 : $0.saturatingAdd(counters.calls($1, outcome))
            }
            guard calls > counters.total / 10, calls > 1_000 else { return nil }
            let text = "\(Figures.percentText(calls, of: counters.total)) % passed on: \(outcome.explanation)"
            return Finding(.note, "figures", text, cure: outcome.cure)
        }
    }
}

/// Files and limits.
extension ProcessFindings {
    /// Which of its open files below its mounts lie in windows.
    private var files: [Finding] {
        let mounts = (process.environment[ps_setting.mounts.variable] ?? "").split(separator: ":").map(String.init)
            .filter { $0.hasPrefix("/") }
        let daxes = MountEntry.all(ofProcess: "\(process.pid)").filter(\.isDAX).map(\.point)
        let attached = ((try? Registry.all()) ?? []).flatMap(\.mountPoints)
        let places = (mounts + countedMounts + daxes + attached).map { $0 == "/" ? "/" : $0 + "/" }
        let open = process.openFiles.filter { file in places.contains { file.path.hasPrefix($0) } }
        guard !open.isEmpty else { return [Finding(.note, "files", "it has no file of a served mount open now")] }
        let windows = Set(process.mappings.filter { $0.permissions.hasSuffix("s") }.map(\.inode))
        var seen: Set<UInt64> = []
        let inodes = open.filter { seen.insert($0.inode).inserted }
        let served = inodes.filter { windows.contains($0.inode) }
        var findings = [
            Finding(
                .ok, "files",
                "\(inodes.count) open on served mounts, of which \(served.count) \(served.count == 1 ? "lies" : "lie")"
                    + " in windows (the others were not used enough)")
        ]
        let direct = inodes.filter { $0.flags & Self.direct != 0 }
        if !direct.isEmpty {
            findings.append(
                Finding(
                    .note, "files",
                    "\(direct.count) open with O_DIRECT, which on a plain file system is the kernel's:"
                        + " \(direct[0].path)", cure: "switch direct I/O off in the program"))
        }
        let appended = inodes.filter { $0.flags & O_APPEND != 0 }
        if !appended.isEmpty {
            findings.append(
                Finding(
                    .note, "files",
                    "\(appended.count) open with O_APPEND, whose writes are the kernel's:"
                        + " \(appended[0].path)"))
        }
        return findings
    }

    /// O_DIRECT on x86-64.
    private static let direct: Int32 = 0o40000

    private var limits: [Finding] {
        var findings: [Finding] = []
        if let space = process.limit("Max address space") {
            findings.append(
                Finding(
                    .warning, "limits", "RLIMIT_AS is \(Figures.bytes(space)): windows are address space",
                    cure: "raise it (ulimit -v, LimitAS=) to the size of the data and more"))
        }
        if let size = process.limit("Max file size") {
            findings.append(
                Finding(
                    .warning, "limits", "RLIMIT_FSIZE is \(Figures.bytes(size)): no figures are kept under it",
                    cure: "lift it (ulimit -f, LimitFSIZE=)"))
        }
        if let limit = MemoryLimit(ofProcess: "\(process.pid)") {
            let tables = process.status("VmPTE") ?? "?"
            findings.append(
                Finding(
                    .note, "memory",
                    "its cgroup has \(Figures.bytes(limit.bytes)); its page tables take \(tables), those of windows"
                        + " a 16th of that limit at most"))
        }
        return findings.isEmpty ? [Finding(.ok, "limits", "none that concerns the library")] : findings
    }
}
