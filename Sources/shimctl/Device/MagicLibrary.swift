import Glibc

/// libmagic, which file(1) uses, where it is installed: mke2fs names in the same way what it finds. It is loaded when
/// it is needed, because only a message is the worse for its absence.
enum MagicLibrary {
    /// What begins with those bytes (`SQLite 3.x database, ...`); nothing where libmagic is missing or does not know.
    static func name(of bytes: UnsafeRawBufferPointer) -> String? {
        guard let library = dlopen("libmagic.so.1", RTLD_NOW | RTLD_LOCAL) else { return nil }
        func function<Function>(_ name: String, _ type: Function.Type) -> Function? {
            dlsym(library, name).map { unsafeBitCast($0, to: type) }
        }
        guard let open = function("magic_open", Open.self), let load = function("magic_load", Load.self),
            let look = function("magic_buffer", Look.self), let close = function("magic_close", Close.self),
            let cookie = open(0)
        else { return nil }
        defer { close(cookie) }
        guard load(cookie, nil) == 0, let text = look(cookie, bytes.baseAddress, bytes.count) else { return nil }
        let name = String(cString: text)
        // Its words for: I do not know.
        guard name != "data", name != "empty", !name.hasPrefix("very short file"), !name.isEmpty else { return nil }
        return name.count > 80 ? String(name.prefix(77)).printable + "..." : name.printable
    }

    // As magic.h declares them (libmagic(3)).
    private typealias Open = @convention(c) (Int32) -> OpaquePointer?
    private typealias Load = @convention(c) (OpaquePointer, UnsafePointer<CChar>?) -> Int32
    private typealias Look = @convention(c) (OpaquePointer, UnsafeRawPointer?, Int) -> UnsafePointer<CChar>?
    private typealias Close = @convention(c) (OpaquePointer) -> Void
}
