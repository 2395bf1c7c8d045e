import CElf
import FoundationEssentials
import Glibc
import SystemPackage

/// An ELF file, read with libelf. Its content is not trusted: everything is found by way of the program headers (which
/// is what the kernel and ld.so go by; section headers may be missing or lie) and libelf refuses ranges outside of the
/// file.
final class ElfImage {
    enum Failure: Error, Equatable {
        case unreadable(Errno)
        /// No ELF magic at its beginning.
        case notELF
        /// ELF by its magic, but with headers that lead nowhere.
        case damaged(String)
    }

    let path: FilePath
    let header: GElf_Ehdr
    let segments: [GElf_Phdr]

    /// Never null; ended with this object.
    let elf: OpaquePointer
    private let descriptor: FileDescriptor

    /// Opens `path`, following symbolic links.
    init(_ path: FilePath) throws(Failure) {
        guard elf_version(UInt32(EV_CURRENT)) != UInt32(EV_NONE) else {
            throw .damaged("libelf is of another version than its headers")
        }
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
        } catch {
            throw .unreadable(error as? Errno ?? .ioError)
        }
        // ELF_C_READ, not the mapping kind: a file that is truncated meanwhile must not raise SIGBUS.
        guard let elf = elf_begin(descriptor.rawValue, ELF_C_READ, nil) else {
            try? descriptor.close()
            throw .notELF
        }
        var failure: Failure?
        var header = GElf_Ehdr()
        var segments: [GElf_Phdr] = []
        var count = 0
        if elf_kind(elf) != ELF_K_ELF {
            failure = .notELF
        } else if gelf_getehdr(elf, &header) == nil {
            failure = .damaged(Self.lastMessage)
        } else if elf_getphdrnum(elf, &count) != 0 || count > 1024 {
            failure = .damaged("\(count) program headers")
        } else {
            for index in 0..<count {
                var segment = GElf_Phdr()
                if gelf_getphdr(elf, Int32(index), &segment) == nil {
                    failure = .damaged(Self.lastMessage)
                    break
                }
                segments.append(segment)
            }
        }
        if let failure {
            elf_end(elf)
            try? descriptor.close()
            throw failure
        }
        self.path = path
        self.header = header
        self.segments = segments
        self.elf = elf
        self.descriptor = descriptor
    }

    deinit {
        elf_end(elf)
        try? descriptor.close()
    }

    static var lastMessage: String { elf_errmsg(-1).map { String(cString: $0) } ?? "no reason given" }
}

extension ElfImage {
    var is64Bit: Bool { header.e_ident.4 == UInt8(ELFCLASS64) }
    var isX8664: Bool { is64Bit && header.e_machine == UInt16(EM_X86_64) }
    var isSharedObject: Bool { header.e_type == UInt16(ET_DYN) }
    var isProgram: Bool { header.e_type == UInt16(ET_EXEC) || header.e_type == UInt16(ET_DYN) }

    /// `x86-64`, `i386`, ...
    var machineName: String {
        let bits = is64Bit ? "64-bit" : "32-bit"
        switch Int32(header.e_machine) {
        case EM_X86_64: return is64Bit ? "x86-64" : "x32"
        case EM_386: return "i386"
        case EM_AARCH64: return "aarch64"
        case EM_ARM: return "32-bit arm"
        case EM_RISCV: return "\(bits) riscv"
        case EM_PPC64: return "ppc64"
        case EM_S390: return "s390"
        default: return "\(bits) machine \(header.e_machine)"
        }
    }

    /// The first segment of type `type` (PT_*).
    func segment(_ type: Int32) -> GElf_Phdr? { segments.first { $0.p_type == UInt32(type) } }

    /// `count` bytes at `offset` of the file; nothing if they do not lie within it.
    func bytes(at offset: UInt64, count: UInt64) -> UnsafeRawBufferPointer? {
        guard let data = chunk(at: offset, count: count, type: ELF_T_BYTE), let start = data.pointee.d_buf else {
            return nil
        }
        // Belongs to libelf and lives as long as `elf`.
        return UnsafeRawBufferPointer(start: start, count: data.pointee.d_size)
    }

    func chunk(at offset: UInt64, count: UInt64, type: Elf_Type) -> UnsafeMutablePointer<Elf_Data>? {
        guard count > 0, let offset = Int64(exactly: offset), let count = Int(exactly: count) else { return nil }
        return elf_getdata_rawchunk(elf, offset, count, type)
    }

    /// Where in the file the byte is that the kernel maps at `address`.
    func fileOffset(ofAddress address: UInt64) -> UInt64? {
        for segment in segments where segment.p_type == UInt32(PT_LOAD) && address >= segment.p_vaddr {
            let distance = address - segment.p_vaddr
            guard distance < segment.p_filesz else { continue }
            let (offset, overflow) = segment.p_offset.addingReportingOverflow(distance)
            return overflow ? nil : offset
        }
        return nil
    }

    /// The interpreter (ld.so) that PT_INTERP names.
    var interpreter: String? {
        guard let segment = segment(PT_INTERP), segment.p_filesz <= 4096,
            let bytes = bytes(at: segment.p_offset, count: segment.p_filesz)
        else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Instructions: what the executable segments have in the file.
    var instructions: [UnsafeRawBufferPointer] {
        segments.compactMap { segment in
            guard segment.p_type == UInt32(PT_LOAD), segment.p_flags & UInt32(PF_X) != 0 else { return nil }
            return bytes(at: segment.p_offset, count: segment.p_filesz)
        }
    }
}
