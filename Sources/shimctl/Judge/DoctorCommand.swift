import ArgumentParser
import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// `shimctl doctor`: why something is not served.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at this machine, a process, a service or a directory, and say what is wrong and what to do.",
        discussion: """
            Without an option: the library, the kernel, the processor, and where figures are kept. With one, besides: \
            of a process whether it has the library and which build, whether its variables are right, what was served, \
            which of its open files lie in windows, and its limits; of a service the same of its main process, and \
            what it is started with; of a directory whether and how it is served. Nothing is changed.

            EXAMPLES
              shimctl doctor
              sudo shimctl doctor --pid 4711
              sudo shimctl doctor --unit mariadb
              sudo shimctl doctor --cluster 15/main
              shimctl doctor --mount /mnt/pmem --json

            EXIT STATUS
              0 if there is no error among the findings, else 1; 64 for a bad option
            """)

    @Option(parsing: .unconditional, help: ArgumentHelp("A process.", valueName: "pid"))
    var pid: Int32?

    @Option(
        help: ArgumentHelp("A unit of systemd.", valueName: "name"), completion: .custom { _, _, _ in Service.units })
    var unit: String?

    @Option(
        help: ArgumentHelp("A PostgreSQL cluster of Debian's, as 15/main.", valueName: "cluster"),
        completion: .custom { _, _, _ in Service.clusters })
    var cluster: String?

    @Option(
        help: ArgumentHelp("A directory, as run's --mount takes it.", valueName: "dir"), completion: .directory)
    var mount: [String] = []

    @Flag(help: "Write JSON (schema pmemshim.findings/1).")
    var json = false

    func validate() throws {
        if let pid, pid <= 0 { throw ValidationError("--pid \(pid): process numbers begin at 1.") }
    }

    func run() throws {
        var hasError = false
        try Complaint.reported(by: "doctor") {
            var report = FindingReport()
            report.add("This machine", MachineFindings.all)
            if let pid { report.add("Process \(pid)", ProcessFindings(pid: pid).all) }
            if let unit { try add(service: try Service(unit), to: &report) }
            if let cluster {
                let service = try Service(cluster)
                guard case .cluster = service else {
                    let known = Service.clusters.joined(separator: ", ")
                    throw Complaint(
                        .usage,
                        "--cluster \(cluster.printable): a cluster is VERSION/NAME"
                            + (known.isEmpty ? "" : " (here: \(known))"))
                }
                try add(service: service, to: &report)
            }
            for argument in mount {
                let item = try MountItem.argument(argument).resolved()
                report.add("Directory \(item.description)", MountFindings(item: item).all)
            }
            if json { try Output.json(report.document) } else { try Output.line(report.text(width: Terminal.width)) }
            hasError = report.count(.error) > 0
        }
        if hasError { throw ExitCode(1) }
    }

    private func add(service: Service, to report: inout FindingReport) throws {
        let findings = ServiceFindings(service: service)
        report.add("Service \(service.name)", try findings.all)
        guard let pid = service.mainProcess else {
            return report.add("Its main process", [Finding(.note, "process", "it does not run now")])
        }
        let process = ProcessFindings(pid: pid, service: service)
        report.add("Its main process, \(pid)", process.all)
        report.add("All its programs", findings.figures(of: process.process))
    }
}

extension MountItem {
    /// With its real path where it has one.
    /// - Throws: a `Complaint` where that is not UTF-8.
    func resolved() throws -> MountItem {
        guard let real = directory.withPlatformString({ realpath($0, nil) }) else { return self }
        defer { free(real) }
        try ForeignBytes.refuse(real, "\(directory.string.printable): its path")
        return MountItem(directory: FilePath(platformString: real), pagecache: pagecache)
    }
}

/// What a service will be started with.
struct ServiceFindings {
    let service: Service

    var all: [Finding] {
        get throws {
            let place = try service.file()
            let path = place.file.path.string
            guard let text = try place.file.text(), let lines = place.variables(in: text) else {
                return [
                    Finding(
                        .note, path, "shimctl has written nothing there",
                        cure: "shimctl profile apply \(service.name), unless its variables are set elsewhere")
                ]
            }
            var findings = [Finding(.ok, path, "written by shimctl profile apply")]
            let library = lines.first { $0.name == "LD_PRELOAD" }?.value ?? ""
            for item in library.split(separator: ":") where (try? Stat(FilePath(String(item)))) == nil {
                findings.append(
                    Finding(
                        .error, path, "\(item) is not there: every program of the service says so at its start",
                        cure: "install the library again, or shimctl profile revert \(service.name)"))
            }
            return findings
        }
    }

    /// What the user of its main process has had served in the directories that are named for it.
    func figures(of process: ProcessView) -> [Finding] {
        guard let user = process.effectiveUser, user == geteuid() || geteuid() == 0,
            let file = try? service.file(), let text = try? file.file.text(),
            let variables = file.variables(in: text),
            let mounts = variables.first(where: { $0.name == ps_setting.mounts.variable })?.value
        else { return [] }
        let directories = mounts.split(separator: ":").map(String.init)
        let place = RuntimePlace(ofUser: user)
        let known = ((try? StatsFile.snapshot(in: place))?.mounts ?? []).filter { directories.contains($0.path) }
        let counters = known.reduce(into: CallCounters()) { $0 += $1.counters }
        let name = getpwuid(user).flatMap(\.pointee.pw_name).map { String(cString: $0) } ?? "\(user)"
        guard counters.total > 0 else {
            return [
                Finding(
                    .note, "figures", "none yet in \(mounts)",
                    cure: "give it work, then look again, or at shimctl stats --user \(name)")
            ]
        }
        return [
            Finding(
                .ok, "figures",
                "\(Figures.percentText(counters.served, of: counters.total)) % of \(Figures.count(counters.total)) data"
                    + " calls in \(mounts) served (shimctl stats --user \(name))")
        ]
    }
}

extension Service {
    /// Nothing where it does not run, or nobody tells.
    var mainProcess: Int32? {
        switch self {
        case .unit(let name):
            let run = try? Subprocess.output(
                "/usr/bin/systemctl", ["show", "--property=MainPID", "--value", "\(name).service"], environment: [:])
            return run.flatMap { Int32($0.output.trimmed) }.flatMap { $0 > 0 ? $0 : nil }
        case .cluster:
            guard let data = (try? clusterData())?.first,
                let text = ProcFile.contents(data.appending("postmaster.pid").string),
                let first = String(decoding: text, as: UTF8.self).split(separator: "\n").first,
                let pid = Int32(String(first).trimmed), ProcessView(pid: pid).exists
            else { return nil }
            return pid
        }
    }
}
