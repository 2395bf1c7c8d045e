import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// What could be the reason where nothing has been counted.
struct StatsAdvice {
    private let place: RuntimePlace

    init(_ place: RuntimePlace) { self.place = place }

    /// In lines of at most `width` columns.
    func text(width: Int) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { line -> [String] in
            let text = String(line)
            guard text.hasPrefix("  - ") else { return Wrapped.lines(text, 0, width) }
            var wrapped = Wrapped.lines(String(text.dropFirst(4)), 4, width)
            if let first = wrapped.first { wrapped[0] = "  - " + first.dropFirst(4) }
            return wrapped
        }.joined(separator: "\n")
    }

    private var text: String {
        var lines = ["Looked for in \(place.directory.string.printable). If a program was to be served:"]
        lines += Self.problems.map { "  - here, in this environment, \($0)" }
        if let environment = try? Self.environment() {
            if environment.isDisabled { lines.append("  - here, in this environment, PMEMSHIM_DISABLE=1 is set") }
            if environment.servesNothing {
                lines.append(
                    "  - here, in this environment, nothing would be served: no PMEMSHIM_MOUNTS, no mount with the dax"
                        + " option, and none of an attached device")
            }
        }
        return (lines + Self.general).joined(separator: "\n")
    }

    /// What is wrong with this environment's own settings.
    static var problems: [String] {
        do {
            _ = try environment()
            return []
        } catch let complaint as Complaint {
            return [complaint.description]
        } catch {
            return []
        }
    }

    /// Whose figures root can ask for; empty for nobody's.
    static func otherUsers(_ users: [RuntimePlace.User]) -> String {
        guard !users.isEmpty else { return "" }
        let names = users.map { $0.name == "\($0.uid)" ? $0.name : "\($0.name) (\($0.uid))" }
        return "Other users have figures: \(names.joined(separator: ", ")): --user NAME, or --all-users"
    }

    private static func environment() throws -> ShimEnvironment {
        try ShimEnvironment(
            inherited: ProcessInfo.processInfo.environment, mountArguments: [], logArgument: nil)
    }

    private static let general = [
        "  - it may have made too few calls: the first file of a process is looked at after"
            + " \(ps_setting.firstCalls) data calls (PMEMSHIM_FIRST_AFTER)",
        "  - it may run as another user, or with a PMEMSHIM_RUNTIME_DIR of its own",
        "  - it may not have the library: grep libpmemshim /proc/PID/maps; shimctl check PROGRAM tells whether it can",
        "  - its settings may be wrong: tr '\\0' '\\n' < /proc/PID/environ | grep PMEMSHIM_; a directory that does not"
            + " exist is not served, nor is one of a plain file system without :pagecache",
    ]
}
