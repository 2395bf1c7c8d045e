import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// Runs a program natively or with the shim preloaded. Apart from that the environment is the caller's, without any
/// variable of the shim, and with `environment` laid over it.
///
/// - Parameters:
///   - preload: with the shim; then ``Run/counts`` tells what was served.
///   - mounts: items for `PMEMSHIM_MOUNTS` (``ScratchMount/item``).
///   - mapAfter: `PMEMSHIM_MAP_AFTER`; 0, what differential tests want, serves a file from its first data call on. By
///     price, nil, the first file of a process is looked at like every other, so that short programs are served too.
///   - runtimeDirectory: for the statistics; by default a private one, gone after the run.
///   - user: run as this user and group id, without supplementary groups; needs root.
public func run(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], preload: Bool,
    mounts: [String] = [], mapAfter: Int? = 0, runtimeDirectory: String? = nil, stdin: [UInt8] = [],
    workingDirectory: String? = nil, timeout: Duration = .seconds(60), user: uid_t? = nil
) throws -> Run {
    var variables = ProcessInfo.processInfo.environment.filter {
        !$0.key.hasPrefix("PMEMSHIM_") && $0.key != "LD_PRELOAD"
    }
    variables["LC_ALL"] = "C"
    variables.merge(environment) { $1 }
    let privateRuntime = try runtimeDirectory == nil && preload ? ScratchDirectory() : nil
    defer { privateRuntime?.close() }
    let runtime = runtimeDirectory ?? privateRuntime?.path
    if let user, let privateRuntime { chown(privateRuntime.path, user, user) }

    var shimVariables: [String: String] = [:]
    if preload {
        shimVariables["LD_PRELOAD"] = try Shim.preload
        if !mounts.isEmpty { shimVariables["PMEMSHIM_MOUNTS"] = mounts.joined(separator: ":") }
        if let mapAfter {
            shimVariables["PMEMSHIM_MAP_AFTER"] = String(mapAfter)
        } else {
            shimVariables["PMEMSHIM_FIRST_AFTER"] = "0"
        }
        if let runtime { shimVariables["PMEMSHIM_RUNTIME_DIR"] = runtime }
        shimVariables.merge(environment.filter { $0.key.hasPrefix("PMEMSHIM_") || $0.key == "LD_PRELOAD" }) { $1 }
    }

    let result: Run
    if let user {
        // setpriv runs without the shim; env hands it to the program itself.
        let identity = ["--reuid=\(user)", "--regid=\(user)", "--clear-groups"]
        let settings = shimVariables.map { "\($0)=\($1)" }.sorted()
        result = try spawn(
            "/usr/bin/setpriv", identity + ["/usr/bin/env"] + settings + [program] + arguments, environment: variables,
            stdin: stdin, workingDirectory: workingDirectory, timeout: timeout)
    } else {
        result = try spawn(
            program, arguments, environment: variables.merging(shimVariables) { $1 }, stdin: stdin,
            workingDirectory: workingDirectory, timeout: timeout)
    }
    guard preload, let runtime else { return result }
    return result.counting(try ServedCounts.read(runtimeDirectory: runtime))
}
