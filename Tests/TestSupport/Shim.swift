import Foundation

/// Where the things under test are.
public enum Shim {
    /// The root of the package, found from the place of this source file.
    public static let packageRoot: String = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The path of `libpmemshim.so`: `PMEMSHIM_LIBRARY`, else the release build of this package.
    ///
    /// Throws ``SetupError`` when there is none: a suite must fail then, not pass with nothing tested.
    public static var library: String {
        get throws { try product("libpmemshim.so", variable: "PMEMSHIM_LIBRARY") }
    }

    /// The value for `LD_PRELOAD`: ``library``, behind what `PMEMSHIM_PRELOAD_FIRST` names. That is the runtime of a
    /// sanitizer, which must be the first: it stands between the program and the shim, and the shim before libc.
    public static var preload: String {
        get throws {
            let first = ProcessInfo.processInfo.environment["PMEMSHIM_PRELOAD_FIRST"] ?? ""
            return try first.isEmpty ? library : "\(first):\(library)"
        }
    }

    /// The path of `shimctl`: `PMEMSHIM_SHIMCTL`, else the release build of this package.
    public static var shimctl: String {
        get throws { try product("shimctl", variable: "PMEMSHIM_SHIMCTL") }
    }

    private static func product(_ name: String, variable: String) throws -> String {
        let path =
            ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
            ?? "\(packageRoot)/.build/release/\(name)"
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw SetupError("\(path) is missing: run scripts/test, which builds it (or set \(variable))")
        }
        return path
    }
}

/// What a test needs before it can test anything is not there.
public struct SetupError: Error, CustomStringConvertible, Equatable {
    public let description: String

    public init(_ description: String) { self.description = description }
}
