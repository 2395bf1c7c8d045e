import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("The symbols of libpmemshim.so")
struct SymbolTests {
    @Test("every export is a name of libc.so.6")
    func everyExportIsInLibc() throws {
        let libc = try #require(dlopen("libc.so.6", RTLD_NOW))
        let strangers = try LibrarySymbols(of: Shim.library).exports.filter { dlsym(libc, $0) == nil }.sorted()
        #expect(strangers == [])
    }

    @Test("the exports are the entries of the table that this libc has")
    func exportsAreTheTable() throws {
        let table = try String(contentsOfFile: "\(Shim.packageRoot)/Sources/ShimC/entry-points.def", encoding: .utf8)
        let entries = table.split(separator: "\n").compactMap { line -> String? in
            if let match = line.wholeMatch(of: #/ENTRY\((\w+),.*/#) { return String(match.1) }
            return line.wholeMatch(of: #/ENTRY_SINCE\(\d+, *\d+, *(\w+),.*/#).map { String($0.1) }
        }
        #expect(entries.count > 150)
        let libc = try LibrarySymbols.libc().exports
        let expected = Set(entries).intersection(libc)
        let exports = try LibrarySymbols(of: Shim.library).exports
        #expect(exports.subtracting(expected).sorted() == [], "exported, and not in the table")
        #expect(expected.subtracting(exports).sorted() == [], "in the table and in libc, and not exported")
    }

    @Test("of a covered name every fortified twin and 64-bit alias that libc has is covered")
    func everyTwinIsCovered() throws {
        let exports = try LibrarySymbols(of: Shim.library).exports
        let libc = try LibrarySymbols.libc().exports
        let forgotten = exports.flatMap { name in
            [
                "\(name)64", "__\(name)", "__\(name)64", "__\(name)_chk", "__\(name)64_chk", "__\(name)_2",
                "__\(name)64_2", "_IO_\(name)",
            ]
        }.filter { libc.contains($0) && !exports.contains($0) }
        #expect(forgotten.sorted() == [])
    }

    @Test("nothing of the Swift runtime is exported")
    func noSwiftSymbolIsExported() throws {
        let exports = try LibrarySymbols(of: Shim.library).exports
        #expect(exports.filter { $0.contains("swift") || $0.hasPrefix("$s") }.sorted() == [])
    }

    @Test("it needs libc.so.6 and nothing else")
    func onlyLibcIsNeeded() throws {
        let dynamic = try LibrarySymbols.output("/usr/bin/readelf", ["-dW", Shim.library])
        let needed = dynamic.matches(of: /\(NEEDED\).*\[(.*)\]/).map { String($0.1) }
        #expect(needed == ["libc.so.6"])
        let loaded = try LibrarySymbols.output("/usr/bin/ldd", [Shim.library]).split(separator: "\n")
            .compactMap { $0.split(whereSeparator: \.isWhitespace).first.map(String.init) }
        #expect(Set(loaded) == ["linux-vdso.so.1", "libc.so.6", "/lib64/ld-linux-x86-64.so.2"])
    }

    @Test("its thread state is at a fixed place: no dynamic TLS, which may allocate")
    func noDynamicThreadState() throws {
        #expect(try !LibrarySymbols(of: Shim.library).imports.contains("__tls_get_addr"))
        let relocations = try LibrarySymbols.output("/usr/bin/readelf", ["-rW", Shim.library])
        #expect(!relocations.contains(/R_X86_64_(DTPMOD64|DTPOFF64|TLSDESC)/))
    }

    @Test("its exports carry no version: a named node silently disables interposition")
    func exportsCarryNoVersion() throws {
        let versions = try LibrarySymbols.output("/usr/bin/readelf", ["-VW", Shim.library])
        // The one definition there may be is that of the file itself.
        #expect(versions.matches(of: #/Rev: \d+ +Flags: (\S+)/#).allSatisfy { $0.1 == "BASE" })
        #expect(versions.contains("Version needs section"))
    }

    @Test("its text is not written to when it is loaded, and its stack is not executable")
    func textIsShared() throws {
        let headers = try LibrarySymbols.output("/usr/bin/readelf", ["-dlW", Shim.library])
        #expect(!headers.contains("TEXTREL"))
        #expect(headers.contains(#/GNU_STACK.* RW /#))
    }

    @Test("what it takes from others is the table of docs/imports.md, each name with a reason")
    func importsAreTheTable() throws {
        let page = try String(contentsOfFile: "\(Shim.packageRoot)/docs/imports.md", encoding: .utf8)
        let rows = page.matches(of: #/(?m)^\| `(\w+)` \| (.*) \|$/#)
        let reasons = Dictionary(uniqueKeysWithValues: rows.map { (String($0.1), $0.2) })
        let imports = try LibrarySymbols(of: Shim.library).imports
        #expect(imports.subtracting(reasons.keys).sorted() == [], "imported, and not in the table")
        #expect(Set(reasons.keys).subtracting(imports).sorted() == [], "in the table, and not imported")
        #expect(reasons.filter { $0.value.count < 8 }.keys.sorted() == [], "without a reason")
    }

    @Test("it asks for no newer version of libc's symbols than docs/imports.md says")
    func versionsAreOld() throws {
        let page = try String(contentsOfFile: "\(Shim.packageRoot)/docs/imports.md", encoding: .utf8)
        let stated = try #require(page.firstMatch(of: #/newest symbol version it asks for is GLIBC_(\d+)\.(\d+)/#))
        let newest = try #require(Version(stated.1, stated.2))
        let needs = try LibrarySymbols.output("/usr/bin/readelf", ["-VW", Shim.library])
        let versions = needs.matches(of: #/Name: GLIBC_(\d+)\.(\d+)/#).compactMap { Version($0.1, $0.2) }
        #expect(versions.max() == newest)
        // Names of the loader's own, and versions without numbers, would keep it from starting elsewhere too.
        #expect(needs.matches(of: #/Name: (GLIBC_\D\S*)/#).map { String($0.1) } == [])
        #expect(needs.matches(of: #/File: (\S+)/#).map { String($0.1) } == ["libc.so.6"])
    }

    private struct Version: Comparable {
        let major: Int
        let minor: Int

        init?(_ major: Substring, _ minor: Substring) {
            guard let major = Int(major), let minor = Int(minor) else { return nil }
            self.major = major
            self.minor = minor
        }

        static func < (one: Version, other: Version) -> Bool { (one.major, one.minor) < (other.major, other.minor) }
    }

    @Test("no code of ours can reach an allocator")
    func nothingAllocates() throws {
        let references = try References(of: Shim.library).mentions
        #expect(references.count > 200, "is it stripped?")
        let allocators: Set = [
            "malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "memalign", "sbrk",
        ]
        let reaching = references.filter { function, mentioned in
            !function.hasPrefix("swift_") && !allocators.contains(function)
                && mentioned.contains { allocators.contains($0) || $0.hasPrefix("swift_") }
        }
        #expect(reaching.keys.sorted() == [])
    }

    @Test("the version script and the page of intercepted calls are what the table makes them")
    func generatedFilesAreUpToDate() throws {
        let check = try spawn("\(Shim.packageRoot)/scripts/generate", ["--check"])
        #expect(check.ending == .exited(0), "\(check.stderr)")
    }
}
