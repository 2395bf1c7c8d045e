import TestSupport

/// A C program compiled into a directory of its own, removed when forgotten.
struct CompiledProgram: @unchecked Sendable {
    // Never changed after init.
    private let scratch: ScratchDirectory

    init(c source: String, libraries: [String]) throws {
        scratch = try ScratchDirectory()
        let strict = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g"]
        let compiler = try spawn("/usr/bin/gcc", strict + ["-x", "c", source, "-o", path, "-x", "none"] + libraries)
        guard compiler.ending == .exited(0) else { throw SetupError("\(source) does not compile:\n\(compiler.stderr)") }
    }

    var path: String { "\(scratch.path)/program" }
}
