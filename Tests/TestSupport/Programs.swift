import Foundation

/// The C helper programs of `Tests/Programs`.
public enum Programs {
    /// The directory they are in: `PMEMSHIM_PROGRAMS`, taken as it is, else `.build/programs`, brought up to date by
    /// make once per process.
    public static var directory: String {
        get throws { try prepared.get() }
    }

    /// The path of one program. Throws ``SetupError`` when it does not exist or does not build.
    public static func path(_ name: String) throws -> String {
        let path = try "\(directory)/\(name)"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw SetupError("\(path) is missing: is there a Tests/Programs/\(name).c?")
        }
        return path
    }

    private static let prepared: Result<String, any Error> = Result {
        if let given = ProcessInfo.processInfo.environment["PMEMSHIM_PROGRAMS"], !given.isEmpty { return given }
        let output = "\(Shim.packageRoot)/.build/programs"
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        // Several test processes may come here at once.
        let make = try spawn(
            "/usr/bin/flock",
            [
                "\(output)/.lock", "make", "--no-print-directory", "-s", "-C", "\(Shim.packageRoot)/Tests/Programs",
                "OUT=\(output)",
            ], timeout: .seconds(300))
        guard make.ending == .exited(0) else {
            throw SetupError("the programs in Tests/Programs do not build:\n\(make.stderr)")
        }
        return output
    }
}
