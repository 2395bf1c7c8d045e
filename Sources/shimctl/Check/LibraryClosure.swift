import FoundationEssentials
import Glibc
import SystemPackage

/// A program and all libraries that ld.so loads with it.
///
/// They are searched for here, by ld.so's rules (ld.so(8)), instead of asking the program's own loader with --list as
/// ldd does: that would execute whatever file the program names as its interpreter. What a program loads later with
/// dlopen is not seen, nor are LD_PRELOAD, LD_AUDIT and the glibc-hwcaps variants of a library.
struct LibraryClosure {
    struct Object {
        /// As DT_NEEDED has it; the path for the program itself.
        let name: String
        let image: ElfImage
        let dynamic: ElfImage.Dynamic
        /// Index of the object that first needed it.
        let loader: Int?
    }

    /// The program first, then its libraries in the order of loading.
    private(set) var objects: [Object]
    /// Libraries that were not found, with the object that needs them.
    private(set) var missing: [(name: String, neededBy: String)] = []

    init(program: ElfImage, dynamic: ElfImage.Dynamic) {
        objects = [Object(name: program.path.string, image: program, dynamic: dynamic, loader: nil)]
        var known: Set<String> = []
        var index = 0
        while index < objects.count, objects.count < 4096 {
            for name in objects[index].dynamic.needed where known.insert(name).inserted {
                load(name, for: index)
            }
            index += 1
        }
    }

    private mutating func load(_ name: String, for loader: Int) {
        if objects.contains(where: { $0.dynamic.soname == name }) { return }
        guard let image = find(name, for: loader) else {
            missing.append((name, objects[loader].name))
            return
        }
        // The same file by another name is loaded once.
        if objects.contains(where: { Self.isSameFile($0.image.path, image.path) }) { return }
        objects.append(
            Object(name: name, image: image, dynamic: image.readDynamic() ?? ElfImage.Dynamic(), loader: loader))
    }

    private func find(_ name: String, for loader: Int) -> ElfImage? {
        let object = objects[loader]
        if name.contains("/") { return fitting(expand(name, for: object)) }
        var directories: [String] = []
        if object.dynamic.runpath == nil {
            // DT_RPATH is inherited along the chain of loaders; the program's own always counts.
            var current: Int? = loader
            while let index = current {
                if objects[index].dynamic.runpath == nil {
                    directories += split(objects[index].dynamic.rpath, for: objects[index])
                }
                current = objects[index].loader
            }
        }
        directories += split(ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"], for: object, separators: ":;")
        directories += split(object.dynamic.runpath, for: object)
        for directory in directories {
            if let image = fitting(directory + "/" + name) { return image }
        }
        guard !object.dynamic.ignoresDefaultDirectories else { return nil }
        if let path = LoaderCache.system.path(of: name), let image = fitting(path) { return image }
        return Self.defaultDirectories.lazy.compactMap { fitting($0 + "/" + name) }.first
    }

    private static let defaultDirectories = [
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
    ]

    /// The library at `path`, if it is one for this machine: ld.so skips others.
    private func fitting(_ path: String) -> ElfImage? {
        guard let image = try? ElfImage(FilePath(path)), image.isX8664, image.isSharedObject else { return nil }
        return image
    }

    private func split(_ list: String?, for object: Object, separators: String = ":") -> [String] {
        guard let list, !list.isEmpty else { return [] }
        return list.split(omittingEmptySubsequences: false) { separators.contains($0) }
            // An empty item is the current directory.
            .map { $0.isEmpty ? "." : expand(String($0), for: object) }
    }

    /// Dynamic string tokens.
    private func expand(_ text: String, for object: Object) -> String {
        guard text.contains("$") else { return text }
        let real = object.image.path.withPlatformString { realpath($0, nil) }
        defer { free(real) }
        let path = real.map { FilePath(platformString: $0) } ?? object.image.path
        let values = [
            "ORIGIN": path.removingLastComponent().string, "LIB": "lib/x86_64-linux-gnu", "PLATFORM": "x86_64",
        ]
        return values.reduce(text) { text, token in
            text.replacing("${\(token.key)}", with: token.value).replacing("$\(token.key)", with: token.value)
        }
    }

    private static func isSameFile(_ one: FilePath, _ other: FilePath) -> Bool {
        guard let one = try? Stat(one), let other = try? Stat(other) else { return false }
        return one.rawValue.st_ino == other.rawValue.st_ino && one.rawValue.st_dev == other.rawValue.st_dev
    }
}

extension LibraryClosure.Object {
    /// Part of glibc itself: its calls to itself never go through a symbol, and so never reach a preload.
    var isLibc: Bool {
        let file = FilePath(dynamic.soname ?? name).lastComponent?.string ?? name
        return [
            "libc.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libm.so.6",
            "libresolv.so.2", "libutil.so.1", "libanl.so.1", "libnsl.so.1", "libmvec.so.1", "libBrokenLocale.so.1",
        ].contains(file)
    }
}
