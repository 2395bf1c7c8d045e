import Foundation
import TestSupport

#if canImport(Glibc)
    import Glibc
#endif

/// A C program of this suite, compiled into `.build/test-programs`.
struct CompiledProgram {
    let path: String

    /// - Parameters:
    ///   - source: a C file.
    ///   - libraries: options for the linker.
    init(c source: String, name: String, libraries: [String]) throws {
        let directory = "\(Shim.packageRoot)/.build/test-programs"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        path = "\(directory)/\(name)"
        // In the machine what the host has compiled is there, and compiling takes long.
        if Machine.isInside, FileManager.default.isExecutableFile(atPath: path) { return }
        // Under a name of its own first: another test process may be running the program.
        let fresh = "\(path).\(getpid())"
        let strict = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g"]
        let compiler = try spawn("/usr/bin/gcc", strict + [source, "-o", fresh] + libraries)
        guard compiler.ending == .exited(0), rename(fresh, path) == 0 else {
            throw SetupError("\(source) does not compile:\n\(compiler.stderr)")
        }
    }
}
