import CElf

extension ElfImage {
    /// Names of the dynamic symbol table.
    struct Symbols {
        /// Wanted from other objects.
        var imports: Set<String> = []
        /// Offered to other objects.
        var exports: Set<String> = []
    }

    /// Reads the dynamic symbols: all of them where there are section headers to tell how many, otherwise those that
    /// relocations use, which are all that matter for imports.
    func readSymbols(_ dynamic: Dynamic) -> Symbols {
        let strings = strings(of: dynamic)
        var result = Symbols()
        func add(_ symbol: GElf_Sym) {
            guard symbol.st_name != 0, let name = strings.text(at: UInt64(symbol.st_name)) else { return }
            if symbol.st_shndx == UInt16(SHN_UNDEF) {
                result.imports.insert(name)
            } else if symbol.st_info >> 4 != UInt8(STB_LOCAL) {
                result.exports.insert(name)
            }
        }
        if let (data, _) = section(ofType: SHT_DYNSYM) {
            forEachSymbol(in: data, add)
        } else if let data = symbolsUsedByRelocations(dynamic) {
            forEachSymbol(in: data, add)
        }
        return result
    }

    private func forEachSymbol(in data: UnsafeMutablePointer<Elf_Data>, _ body: (GElf_Sym) -> Void) {
        var index: Int32 = 0
        var symbol = GElf_Sym()
        while index < .max, gelf_getsym(data, index, &symbol) != nil {
            body(symbol)
            index += 1
        }
    }

    /// Those of `names` that the program defines for itself, exported or not, as far as it is not stripped.
    func ownNames(among names: Set<String>) -> Set<String> {
        guard let (data, link) = section(ofType: SHT_SYMTAB), let section = elf_getscn(elf, link),
            let text = elf_getdata(section, nil), let start = text.pointee.d_buf
        else { return [] }
        let strings = Strings(bytes: UnsafeRawBufferPointer(start: start, count: text.pointee.d_size))
        var result: Set<String> = []
        forEachSymbol(in: data) { symbol in
            guard symbol.st_name != 0, symbol.st_shndx != UInt16(SHN_UNDEF),
                let name = strings.text(at: UInt64(symbol.st_name)), names.contains(name)
            else { return }
            result.insert(name)
        }
        return result
    }

    /// What the first section of the type holds, and the number of the section with its strings.
    private func section(ofType type: Int32) -> (data: UnsafeMutablePointer<Elf_Data>, link: Int)? {
        var section = elf_nextscn(elf, nil)
        while let current = section {
            var header = GElf_Shdr()
            if gelf_getshdr(current, &header) != nil, header.sh_type == UInt32(type) {
                return elf_getdata(current, nil).map { ($0, Int(header.sh_link)) }
            }
            section = elf_nextscn(elf, current)
        }
        return nil
    }

    /// The symbol table from DT_SYMTAB up to the highest index that a relocation uses.
    private func symbolsUsedByRelocations(_ dynamic: Dynamic) -> UnsafeMutablePointer<Elf_Data>? {
        var highest: UInt64 = 0
        for (table, size) in [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)] {
            guard let address = dynamic.values[Int64(table)], let length = dynamic.values[Int64(size)],
                let offset = fileOffset(ofAddress: address),
                let data = chunk(at: offset, count: length, type: ELF_T_RELA)
            else { continue }
            var index: Int32 = 0
            var relocation = GElf_Rela()
            while index < .max, gelf_getrela(data, index, &relocation) != nil {
                highest = max(highest, relocation.r_info >> 32)
                index += 1
            }
        }
        guard let address = dynamic.values[Int64(DT_SYMTAB)], let offset = fileOffset(ofAddress: address) else {
            return nil
        }
        let size = UInt64(gelf_fsize(elf, ELF_T_SYM, 1, UInt32(EV_CURRENT)))
        return chunk(at: offset, count: (highest + 1) * size, type: ELF_T_SYM)
    }
}
