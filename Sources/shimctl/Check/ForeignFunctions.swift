import FoundationEssentials
import Glibc
import SystemPackage

/// Libraries by which a program can call any function of libc by its name (libffi, JNA), as far as files tell.
///
/// Most programs load them late, as modules of an interpreter: those are looked for where the interpreters have them.
struct ForeignFunctions {
    /// The library or module, and whose it is.
    struct Way: Equatable {
        let interface: String
        let path: FilePath
    }

    private(set) var ways: [Way] = []

    init(of program: ElfImage, in closure: LibraryClosure) {
        for object in closure.objects.dropFirst() {
            let name = object.dynamic.soname ?? object.name
            if name.hasPrefix("libffi.so") { add("libffi", object.image.path) }
            if name.hasPrefix("libjnidispatch") { add("JNA", object.image.path) }
        }
        let file = Self.resolved(program.path)
        let prefix = file.removingLastComponent().removingLastComponent().string
        if let name = file.lastComponent?.string, name.hasPrefix("python3.") { lookForPython(name, below: prefix) }
        for object in closure.objects {
            let name = object.dynamic.soname ?? object.name
            if name.hasPrefix("libruby") { lookForRuby(Self.resolved(object.image.path)) }
            // The launcher's library: every OpenJDK has it, and nothing else.
            if name.hasPrefix("libjli") { lookForJava() }
        }
    }

    private mutating func lookForPython(_ name: String, below prefix: String) {
        let library = "\(prefix)/lib/\(name)"
        add("Python's ctypes", in: "\(library)/lib-dynload", beginningWith: "_ctypes.")
        for place in ["\(prefix)/lib/python3/dist-packages", "\(library)/site-packages", "\(library)/dist-packages"] {
            add("Python's cffi", in: place, beginningWith: "_cffi_backend.")
        }
    }

    /// Beside the library, below `ruby/VERSION` or, where Ruby was not made for several machines, a folder of the
    /// machine.
    private mutating func lookForRuby(_ library: FilePath) {
        let versions = library.removingLastComponent().appending("ruby").string
        for version in Self.names(in: versions) {
            for place in ["", "/x86_64-linux", "/x86_64-linux-gnu"] {
                add("Ruby's Fiddle", in: "\(versions)/\(version)\(place)", beginningWith: "fiddle.so")
            }
        }
    }

    private mutating func lookForJava() {
        add("JNA", in: "/usr/share/java", beginningWith: "jna.jar")
    }

    private mutating func add(_ interface: String, in directory: String, beginningWith start: String) {
        for name in Self.names(in: directory) where name.hasPrefix(start) {
            add(interface, FilePath(directory).appending(name))
        }
    }

    private mutating func add(_ interface: String, _ path: FilePath) {
        let way = Way(interface: interface, path: path)
        if !ways.contains(way) { ways.append(way) }
    }

    private static func names(in directory: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
    }

    private static func resolved(_ path: FilePath) -> FilePath {
        guard let real = path.withPlatformString({ realpath($0, nil) }) else { return path }
        defer { free(real) }
        return FilePath(platformString: real)
    }

    var remark: String? {
        guard !ways.isEmpty else { return nil }
        let names = ways.map { "\($0.interface) (\($0.path.string.printable))" }.joined(separator: ", ")
        return "functions of libc can be called by their names through \(names): the shim answers dlsym and dlvsym with"
            + " its own, so it sees these calls; only code that walks through libc's symbol tables by itself goes"
            + " past it"
    }
}
