import FoundationEssentials
import Glibc

/// Is the process that wrote a record still there?
enum ProcessLiveness {
    /// True if process `pid` exists, has not ended (a zombie has), and began `startTime` clock ticks after boot: a
    /// reused number has another start time (proc_pid_stat(5), field 22).
    static func isRunning(pid: Int32, startTime: UInt64) -> Bool {
        guard pid > 0, let data = ProcFile.contents("/proc/\(pid)/stat") else { return false }
        // The name in parentheses may itself hold spaces and parentheses; the rest begins after the last one.
        let text = String(decoding: data, as: UTF8.self)
        guard let parenthesis = text.lastIndex(of: ")") else { return false }
        let fields = text[text.index(after: parenthesis)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return false }
        return UInt64(fields[19]) == startTime
    }
}
