import CShimSys
import FoundationEssentials
import Glibc
import SystemPackage

/// All that a program is started with so that it is served: LD_PRELOAD and the PMEMSHIM_* variables, checked.
struct ShimSetup {
    let environment: ShimEnvironment
    let library: ShimLibrary
    /// What differs from the environment that is inherited, in the order in which it is set; nothing means: unset.
    let changes: [(name: String, value: String?)]
    /// The environment that it is for.
    let inherited: [String: String]

    /// - Parameters:
    ///   - program: for whose sanitizer, if it has one, LD_PRELOAD has to make room; nothing: not known.
    ///   - inherited: the environment that the program gets besides.
    /// - Throws: a `Complaint` for the first bad value, or where the library is not found.
    init(
        _ options: ShimOptions, program: FilePath?,
        inherited: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        self.inherited = inherited
        // It is written anew. What else is not UTF-8 the program gets as it is.
        if inherited["LD_PRELOAD"] != nil { try ForeignBytes.refuse(inVariables: { $0 == "LD_PRELOAD" }) }
        library = try ShimLibrary.found()
        let profile = try options.profile.map { try ProfileFolder.profile(named: $0) }
        environment = try ShimEnvironment(
            inherited: inherited, profile: profile?.environment ?? [:], mountArguments: options.mount,
            logArgument: options.log)
        let preload = library.added(
            to: inherited["LD_PRELOAD"], after: try program.flatMap { try Self.sanitizerRuntime(of: $0) })
        changes = environment.changes.map { ($0.setting.variable, $0.value) } + [("LD_PRELOAD", preload)]
    }

    /// Sets it all in this process, which then becomes the program.
    func apply() throws {
        for (name, value) in changes {
            let result = value.map { setenv(name, $0, 1) } ?? unsetenv(name)
            guard result == 0 else { throw Complaint(.failure, "\(name): \(Errno(rawValue: errno))") }
        }
    }

    /// Says on standard error that nothing will be served, or nothing counted, if so.
    func warnWhereNothingIsServed(by command: String) {
        if let place = try? RuntimePlace(), place.isDefault,
            let found = try? Stat(place.directory, followTargetSymlink: false),
            found.rawValue.st_uid != geteuid()
        {
            Output.warn(
                "shimctl \(command): warning: \(place.directory.string.printable) belongs to another user: nothing will"
                    + " be counted; set \(ps_setting.runtimeDirectory.variable)")
        }
        guard environment.servesNothing else { return }
        Output.warn(
            "shimctl \(command): warning: no directory is served: no --mount, no PMEMSHIM_MOUNTS, no mount with"
                + " the dax option, and none of an attached device")
    }

    /// The library that must come first of all, if the program is built with a sanitizer.
    private static func sanitizerRuntime(of program: FilePath) throws -> FilePath? {
        guard let library = SanitizerRuntime.needed(by: program)?.library else { return nil }
        guard !library.string.contains(where: { $0 == ":" || $0.isWhitespace }) else {
            throw Complaint(
                .unavailable,
                "\"\(library.string.printable)\", which has to be preloaded for \(program.string.printable): ld.so"
                    + " takes spaces and colons in LD_PRELOAD as separators; move the library")
        }
        return library
    }
}
