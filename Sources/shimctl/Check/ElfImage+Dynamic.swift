import CElf

extension ElfImage {
    /// What PT_DYNAMIC says, with its strings looked up.
    struct Dynamic {
        var needed: [String] = []
        var soname: String?
        /// DT_RPATH and DT_RUNPATH, not yet split or expanded.
        var rpath: String?
        var runpath: String?
        /// DT_FLAGS_1 has DF_1_PIE: a program, not a library.
        var isPIE = false
        /// DT_FLAGS_1 has DF_1_NODEFLIB.
        var ignoresDefaultDirectories = false
        /// All other values by tag; the last of equal tags.
        var values: [Int64: UInt64] = [:]
    }

    /// Nothing if there is no PT_DYNAMIC, or none that can be read: static.
    func readDynamic() -> Dynamic? {
        guard let segment = segment(PT_DYNAMIC),
            let data = chunk(at: segment.p_offset, count: segment.p_filesz, type: ELF_T_DYN)
        else { return nil }
        var entries: [(tag: Int64, value: UInt64)] = []
        for index in 0..<min(data.pointee.d_size / 8, 4096) {
            var entry = GElf_Dyn()
            guard gelf_getdyn(data, Int32(index), &entry) != nil, entry.d_tag != Int64(DT_NULL) else { break }
            entries.append((entry.d_tag, entry.d_un.d_val))
        }
        var result = Dynamic()
        for entry in entries { result.values[entry.tag] = entry.value }
        let strings = strings(of: result)
        for entry in entries {
            switch Int32(truncatingIfNeeded: entry.tag) {
            case DT_NEEDED: if let name = strings.text(at: entry.value) { result.needed.append(name) }
            case DT_SONAME: result.soname = strings.text(at: entry.value)
            case DT_RPATH: result.rpath = strings.text(at: entry.value)
            case DT_RUNPATH: result.runpath = strings.text(at: entry.value)
            case DT_FLAGS_1:
                result.isPIE = entry.value & UInt64(DF_1_PIE) != 0
                result.ignoresDefaultDirectories = entry.value & UInt64(DF_1_NODEFLIB) != 0
            default: break
            }
        }
        return result
    }

    /// The dynamic string table; offsets outside of it have no text.
    struct Strings {
        let bytes: UnsafeRawBufferPointer

        func text(at offset: UInt64) -> String? {
            guard let start = Int(exactly: offset), start < bytes.count else { return nil }
            let rest = bytes[start...]
            guard let end = rest.firstIndex(of: 0) else { return nil }
            return String(decoding: rest[..<end], as: UTF8.self)
        }
    }

    func strings(of dynamic: Dynamic) -> Strings {
        guard let address = dynamic.values[Int64(DT_STRTAB)], let size = dynamic.values[Int64(DT_STRSZ)],
            let offset = fileOffset(ofAddress: address), let bytes = bytes(at: offset, count: size)
        else { return Strings(bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }
        return Strings(bytes: bytes)
    }
}
