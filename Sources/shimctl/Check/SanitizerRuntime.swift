import SystemPackage

/// The runtime of a sanitizer that a program is built with, and that stands in front of libc's calls as the shim does.
///
/// Tried with the runtimes of gcc 12 and clang 21: AddressSanitizer's shared runtime ends the program where it is not
/// the very first library ("ASan runtime does not come first in initial library list"); ThreadSanitizer's does not, but
/// behind the shim it never sees a call that is served. A runtime that is linked into the program comes before any
/// preload, and hands on to the shim. UndefinedBehaviorSanitizer and LeakSanitizer stand in front of no file call.
struct SanitizerRuntime {
    /// `AddressSanitizer`, ...
    let name: String
    /// The shared library, as ld.so finds it; nothing if the runtime is part of the program.
    let library: FilePath?

    private static let sharedOnes = [
        ("libasan.so", "AddressSanitizer"), ("libclang_rt.asan", "AddressSanitizer"),
        ("libhwasan.so", "HWAddressSanitizer"), ("libclang_rt.hwasan", "HWAddressSanitizer"),
        ("libtsan.so", "ThreadSanitizer"), ("libclang_rt.tsan", "ThreadSanitizer"),
    ]
    private static let initialisers = [
        ("__asan_init", "AddressSanitizer"), ("__hwasan_init", "HWAddressSanitizer"),
        ("__tsan_init", "ThreadSanitizer"), ("__msan_init", "MemorySanitizer"),
    ]

    /// The runtime among the libraries that are loaded with a program; the program's own need comes first in the list,
    /// and so would the runtime, without a preload.
    static func shared(in closure: LibraryClosure) -> SanitizerRuntime? {
        for object in closure.objects.dropFirst() {
            let file = object.image.path.lastComponent?.string ?? object.name
            // In the library's own name, or, behind a link of another name, where it is.
            guard let known = sharedOnes.first(where: { (object.dynamic.soname ?? file).hasPrefix($0.0) }) else {
                continue
            }
            return SanitizerRuntime(name: known.1, library: object.image.path)
        }
        return nil
    }

    /// The runtime that is part of a program: compilers export its names for libraries to find, all but gcc.
    static func linkedIn(_ program: ElfImage, exporting exports: Set<String>) -> SanitizerRuntime? {
        let names = Set(initialisers.map(\.0))
        let found = exports.isDisjoint(with: names) ? program.ownNames(among: names) : exports
        return initialisers.first { found.contains($0.0) }.map { SanitizerRuntime(name: $0.1, library: nil) }
    }

    /// What `shimctl run` has to preload for the program called `name`; nothing also where that cannot be told, for
    /// then the program's own start says what is wrong.
    static func needed(by name: FilePath) -> SanitizerRuntime? {
        guard let image = try? ProgramFile(named: name).image, image.isX8664, let dynamic = image.readDynamic() else {
            return nil
        }
        return shared(in: LibraryClosure(program: image, dynamic: dynamic))
    }

    var remark: String {
        guard let library else {
            return "\(name) is linked into it: it checks what the program asks for, and hands on to the shim"
        }
        let must =
            name == "AddressSanitizer"
            ? "has to be the first library of all, or it ends the program"
            : "has to come before the shim, or it sees no call that is served"
        return "\(name)'s runtime \(library.string.printable) \(must): shimctl run puts it first in LD_PRELOAD;"
            + " every program that this one starts inherits that"
    }
}
