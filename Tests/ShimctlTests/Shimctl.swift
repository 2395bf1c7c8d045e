import Foundation
import Synchronization
import TestSupport

/// Runs shimctl to its end, with none of the caller's PMEMSHIM_* variables or preloads.
///
/// - Parameter environment: laid over the caller's; the library defaults to a harmless one, so that what `run` starts
///   is the program and nothing else.
func shimctl(
    _ arguments: String..., environment: [String: String] = [:], workingDirectory: String? = nil
) throws -> Run {
    try shimctl(arguments, environment: environment, workingDirectory: workingDirectory)
}

func shimctl(_ arguments: [String], environment: [String: String] = [:], workingDirectory: String? = nil) throws -> Run
{
    var variables = ProcessInfo.processInfo.environment.filter {
        !$0.key.hasPrefix("PMEMSHIM_") && !$0.key.hasPrefix("LD_")
    }
    variables["LC_ALL"] = "C"
    // Texts are looked for that a narrower terminal would have in several lines.
    variables["COLUMNS"] = "1000"
    variables["PMEMSHIM_LIBRARY"] = try EmptyLibrary.shared.get().path
    variables.merge(environment) { $1 }
    return try spawn(
        Shim.shimctl, arguments, environment: variables, workingDirectory: workingDirectory, timeout: .seconds(120))
}

/// A shared library that does nothing, by the shim's name and with the note of its version, without which it would be
/// refused.
enum EmptyLibrary {
    static let source = #"""
        __asm__(".section .note.pmemshim,\"a\",@note\n.align 4\n.long 9, 16, 1\n.asciz \"pmemshim\"\n.align 4\n"
                ".asciz \"0.0.0\"\n.zero 10\n.previous");
        int nothing_at_all;
        """#
    static let shared = Result {
        try Compiled(source, name: "libpmemshim.so", ["-shared", "-fPIC"]).keptUntilExit()
    }
}

/// A C source compiled into a directory of its own, removed when forgotten.
final class Compiled: Sendable {
    let directory: String
    let path: String

    /// - Parameter options: for the compiler.
    init(
        _ source: String, name: String = "program", _ options: [String] = [], compiler: String = "/usr/bin/gcc"
    ) throws {
        let made = try spawn("/usr/bin/mktemp", ["-d", "/tmp/pmemshim-test.XXXXXX"])
        directory = String(made.stdout.prefix { $0 != "\n" })
        path = "\(directory)/\(name)"
        let run = try spawn(
            compiler, ["-D_GNU_SOURCE", "-x", "c", "-", "-o", path] + options, stdin: Array(source.utf8))
        guard run.ending == .exited(0) else { throw SetupError("\(compiler): \(run.stderr)") }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// What all tests share lives in statics, which are never deinitialised: removed when the process exits.
    func keptUntilExit() -> Compiled {
        Self.kept.withLock { kept in
            if kept.isEmpty {
                atexit {
                    for directory in Compiled.kept.withLock({ $0 }) {
                        try? FileManager.default.removeItem(atPath: directory)
                    }
                }
            }
            kept.append(directory)
        }
        return self
    }

    private static let kept = Mutex<[String]>([])
}

/// A value of a JSON document by keys and indices.
func json(_ text: String) throws -> JSONValue { try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)) }

enum JSONValue: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(UInt64)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .number(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    subscript(key: String) -> JSONValue {
        if case .object(let members) = self { members[key] ?? .null } else { .null }
    }

    subscript(index: Int) -> JSONValue {
        if case .array(let items) = self, items.indices.contains(index) { items[index] } else { .null }
    }

    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    var number: UInt64? { if case .number(let value) = self { value } else { nil } }
    var text: String? { if case .string(let value) = self { value } else { nil } }
    var keys: Set<String> { if case .object(let members) = self { Set(members.keys) } else { [] } }
}

/// Where the shell would find a program.
enum ProgramPath {
    static func of(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
