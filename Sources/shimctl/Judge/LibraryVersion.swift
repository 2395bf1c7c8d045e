import CElf
import CShimSys
import SystemPackage

/// Which build a library is: the note that Sources/ShimC/version.c puts into it.
enum LibraryVersion {
    /// - Returns: nothing for a file that is no library of ours, or one from before 0.2.
    static func of(_ path: FilePath) -> String? {
        (try? ElfImage(path)).flatMap(of)
    }

    static func of(_ image: ElfImage) -> String? {
        guard image.is64Bit else { return nil }
        let owner = Array(PS_VERSION_OWNER.utf8) + [0]
        for segment in image.segments where segment.p_type == UInt32(PT_NOTE) && segment.p_filesz <= 4_096 {
            guard let bytes = image.bytes(at: segment.p_offset, count: segment.p_filesz) else { continue }
            if let text = version(in: bytes, owner) { return text }
        }
        return nil
    }

    /// Notes stand one behind the other: three words, and owner and text, each padded to four bytes (elf(5)).
    private static func version(in notes: UnsafeRawBufferPointer, _ owner: [UInt8]) -> String? {
        func word(_ at: Int) -> Int {
            Int(UInt32(littleEndian: notes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        }
        func padded(_ count: Int) -> Int { (count + 3) & ~3 }
        var at = 0
        while at + 12 <= notes.count {
            let (nameSize, textSize, type) = (word(at), word(at + 4), word(at + 8))
            let name = at + 12
            let text = name + padded(nameSize)
            let next = text + padded(textSize)
            guard nameSize <= notes.count, textSize <= notes.count, next <= notes.count else { return nil }
            if type == Int(PS_VERSION_NOTE), notes[name..<name + nameSize].elementsEqual(owner) {
                return String(printable: notes[text..<text + textSize].prefix { $0 != 0 })
            }
            at = next
        }
        return nil
    }
}
