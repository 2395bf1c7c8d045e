import Foundation
import TestSupport
import Testing

/// `shimctl check` names the ways by which a program can call libc's functions by their names.
struct ForeignFunctionTests {
    private func interfaces(_ program: String) throws -> [String] {
        try json(try shimctl("check", "--json", program).stdout)["foreign_functions"].items
            .compactMap { $0["interface"].text }
    }

    @Test func findsTheModulesOfInterpreters() throws {
        #expect(try interfaces("/usr/bin/python3") == ["Python's ctypes", "Python's cffi"])
        #expect(try interfaces("/usr/bin/ruby") == ["Ruby's Fiddle"])
        #expect(try interfaces("/usr/bin/java") == ["JNA"])
    }

    @Test func findsLibffiAmongTheLibraries() throws {
        let library = try Compiled(
            "int ffi_call;", name: "libffi.so.8", ["-shared", "-fPIC", "-Wl,-soname,libffi.so.8"])
        let program = try Compiled(
            "#include <unistd.h>\nint main(void) { char c; return read(0, &c, 0); }",
            ["-Wl,--no-as-needed", "-Wl,-rpath,\(library.directory)", "-x", "none", library.path])
        let document = try json(try shimctl("check", "--json", program.path).stdout)
        #expect(document["foreign_functions"].items.count == 1)
        #expect(document["foreign_functions"][0]["interface"] == .string("libffi"))
        #expect(document["foreign_functions"][0]["path"] == .string(library.path))
        let remark = document["remarks"].items.compactMap(\.text).filter { $0.contains("libffi (\(library.path))") }
        #expect(remark.count == 1)
        #expect(remark.first?.contains("dlsym") == true)
    }

    @Test func findsNoneInAProgramThatHasNone() throws {
        #expect(try interfaces("/bin/cat") == [])
        #expect(!(try shimctl("check", "/bin/cat").stdout).contains("libffi"))
    }

    @Test func saysThatOthersCanLoadThem() throws {
        let program = try Compiled(
            "#include <dlfcn.h>\n#include <unistd.h>\n"
                + "int main(void) { char c; return dlopen(\"x\", 1) == 0 || read(0, &c, 1); }")
        #expect(try shimctl("check", program.path).stdout.contains("libffi and JNA among them"))
    }
}
