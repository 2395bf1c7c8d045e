import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Functions of glibc that Swift's Glibc module does not show, since it is made without _GNU_SOURCE.
enum GNUFunctions {
    typealias FileActions = UnsafeMutablePointer<posix_spawn_file_actions_t>

    /// A pipe whose ends no concurrently spawned program inherits: pipe2(2) with O_CLOEXEC.
    static func pipe2(_ ends: UnsafeMutablePointer<CInt>) throws {
        typealias Function = @convention(c) (UnsafeMutablePointer<CInt>, CInt) -> CInt
        guard try lookUp("pipe2", as: Function.self)(ends, O_CLOEXEC) == 0 else { throw Errno(rawValue: errno) }
    }

    /// posix_spawn_file_actions_addclosefrom_np(3).
    static func addCloseFrom(_ first: CInt, to actions: FileActions) throws {
        typealias Function = @convention(c) (FileActions, CInt) -> CInt
        _ = try lookUp("posix_spawn_file_actions_addclosefrom_np", as: Function.self)(actions, first)
    }

    /// posix_spawn_file_actions_addchdir_np(3).
    static func addChangeDirectory(_ path: String, to actions: FileActions) throws {
        typealias Function = @convention(c) (FileActions, UnsafePointer<CChar>) -> CInt
        _ = try lookUp("posix_spawn_file_actions_addchdir_np", as: Function.self)(actions, path)
    }

    private static func lookUp<Function>(_ name: String, as type: Function.Type) throws -> Function {
        guard let symbol = dlsym(nil, name) else { throw SetupError("this libc has no \(name)") }
        return unsafeBitCast(symbol, to: type)
    }
}
