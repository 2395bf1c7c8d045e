import SystemPackage

extension FileDescriptor {
    /// Reads into `buffer` as much of it as the file has at `offset`, by as many calls as that takes.
    /// - Returns: the number of bytes: fewer than the buffer has only at the end of the file.
    func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = try read(
                fromAbsoluteOffset: offset + Int64(filled),
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
            if count == 0 { break }
            filled += count
        }
        return filled
    }
}
