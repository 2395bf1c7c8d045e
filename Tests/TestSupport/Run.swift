/// What became of a program.
public struct Run: Sendable {
    public enum Ending: Sendable, Equatable, CustomStringConvertible {
        case exited(Int32)
        case signalled(Int32)
        /// The program, with its whole process group, was killed because its time was over.
        case timedOut

        public var description: String {
            switch self {
            case .exited(let status): "exit status \(status)"
            case .signalled(let signal): "signal \(signal)"
            case .timedOut: "timed out"
            }
        }
    }

    public let ending: Ending
    /// The bytes as they came; ``stdout`` is their text.
    public let output: [UInt8]
    public let errorOutput: [UInt8]
    /// What the shim counted, when the program ran under it.
    public let counts: ServedCounts

    public var stdout: String { String(decoding: output, as: UTF8.self) }
    public var stderr: String { String(decoding: errorOutput, as: UTF8.self) }
    public var lines: [Substring] { stdout.split(separator: "\n", omittingEmptySubsequences: false) }

    func counting(_ counts: ServedCounts) -> Run {
        Run(ending: ending, output: output, errorOutput: errorOutput, counts: counts)
    }
}
