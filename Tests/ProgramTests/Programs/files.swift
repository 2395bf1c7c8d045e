// A Swift program for the preload: Foundation's files, then the bare calls of Glibc, with deterministic output.
import Foundation
import Glibc

/// FNV-1a, to print contents.
func digest(_ bytes: some Sequence<UInt8>) -> String {
    let hash = bytes.reduce(into: UInt64(0xcbf2_9ce4_8422_2325)) { hash, byte in
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    return String(hash, radix: 16)
}

/// Deterministic bytes that no page repeats.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 33)
    }
}

func handles() throws {
    let manager = FileManager.default
    print(manager.createFile(atPath: "handle", contents: Data(pattern(100_000, seed: 1))))
    let handle = try FileHandle(forUpdatingUnlessMissing: "handle")
    print(try handle.read(upToCount: 5000)?.count ?? -1, try handle.offset())
    try handle.seek(toOffset: 40_000)
    try handle.write(contentsOf: Data(repeating: 0x61, count: 9000))
    print(try handle.offset(), digest(try handle.readToEnd() ?? Data()), try handle.seekToEnd())
    try handle.truncate(atOffset: 60_000)
    print(try handle.offset(), try handle.seekToEnd())
    try handle.write(contentsOf: Data("appended".utf8))
    try handle.synchronize()
    try handle.close()
    print(digest(try Data(contentsOf: URL(fileURLWithPath: "handle"))))
    print(digest(try Data(contentsOf: URL(fileURLWithPath: "handle"), options: .alwaysMapped)))
    do {
        _ = try FileHandle(forUpdatingUnlessMissing: "missing")
    } catch {
        print("missing: \(errno == ENOENT)")
    }
}

extension FileHandle {
    convenience init(forUpdatingUnlessMissing path: String) throws {
        try self.init(forUpdating: URL(fileURLWithPath: path))
    }
}

func manager() throws {
    let manager = FileManager.default
    try manager.createDirectory(atPath: "tree/inner", withIntermediateDirectories: true)
    try Data(pattern(30_000, seed: 2)).write(to: URL(fileURLWithPath: "tree/inner/atomic"), options: .atomic)
    try String(repeating: "Zürich\n", count: 4000).write(toFile: "tree/text", atomically: false, encoding: .utf8)
    try manager.copyItem(atPath: "tree", toPath: "copy")
    try manager.moveItem(atPath: "copy/text", toPath: "copy/moved")
    try manager.linkItem(atPath: "copy/moved", toPath: "copy/linked")
    try manager.createSymbolicLink(atPath: "copy/symbolic", withDestinationPath: "moved")
    try manager.setAttributes([.posixPermissions: 0o640], ofItemAtPath: "copy/moved")
    print(try manager.subpathsOfDirectory(atPath: "copy").sorted())
    print(manager.contentsEqual(atPath: "tree/text", andPath: "copy/linked"))
    print(try String(contentsOfFile: "copy/symbolic", encoding: .utf8).count)
    try manager.removeItem(atPath: "tree/inner")
    print(try JSONDecoder().decode([Int].self, from: JSONEncoder().encode(Array(0..<10))).count)
}

func bare() {
    let content = pattern(200_000, seed: 3)
    let fd = open("bare", O_RDWR | O_CREAT | O_TRUNC, 0o644)
    print(write(fd, content, content.count), lseek(fd, 0, SEEK_SET))
    var into = [UInt8](repeating: 0, count: 50_000)
    print(read(fd, &into, 10_000), into[..<10_000].elementsEqual(content[..<10_000]), lseek(fd, 0, SEEK_CUR))
    print(pread(fd, &into, 50_000, 120_001), into.elementsEqual(content[120_001..<170_001]))
    print(pwrite(fd, content, 8192, 100_000), pwrite(fd, content, 100, 199_990), pread(fd, &into, 50_000, 190_000))
    print(digest(into))
    let vectors = [4096, 1, 0, 9000].map { size in
        iovec(iov_base: UnsafeMutableRawPointer.allocate(byteCount: max(size, 1), alignment: 1), iov_len: size)
    }
    defer { for vector in vectors { vector.iov_base?.deallocate() } }
    print(preadv(fd, vectors, 4, 30_000), pwritev(fd, vectors, 4, 130_000), readv(fd, vectors, 4))
    let map = mmap(nil, 200_000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
    if let map, map != MAP_FAILED {
        memset(map + 20_000, 0x7a, 5000)
        print(pread(fd, &into, 10, 22_000), into[0], msync(map, 200_000, MS_SYNC))
        munmap(map, 200_000)
    }
    print(ftruncate(fd, 5000), pread(fd, &into, 10_000, 1000), pread(fd, &into, 1, 5000))
    print(lseek(fd, 1_000_000, SEEK_SET), write(fd, content, 5000), lseek(fd, 0, SEEK_END))
    print(fsync(fd), fdatasync(fd), close(fd), read(fd, &into, 1), errno == EBADF)
    guard let stream = fopen("bare", "r+") else { return print("fopen failed") }
    print(fseek(stream, 1_001_000, SEEK_SET), fread(&into, 1, 3000, stream), digest(into[..<3000]))
    print(fseek(stream, 0, SEEK_SET), fwrite(content, 1, 20_000, stream), fflush(stream), ftell(stream), fclose(stream))
}

/// Several threads of libdispatch, each with its own ranges of one file.
func parallel() throws {
    let fd = open("parallel", O_RDWR | O_CREAT, 0o644)
    ftruncate(fd, 64 * 8192)
    DispatchQueue.concurrentPerform(iterations: 64) { index in
        let block = [UInt8](repeating: UInt8(index + 1), count: 8192)
        pwrite(fd, block, block.count, index * 8192)
        var back = [UInt8](repeating: 0, count: 8192)
        if pread(fd, &back, 8192, index * 8192) != 8192 || back != block { print("range \(index) differs") }
    }
    close(fd)
    print(digest(try Data(contentsOf: URL(fileURLWithPath: "parallel"))))
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/cksum")
    child.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: "parallel"))
    let output = Pipe()
    child.standardOutput = output
    try child.run()
    let printed = output.fileHandleForReading.readDataToEndOfFile()
    child.waitUntilExit()
    print(String(decoding: printed, as: UTF8.self), child.terminationStatus)
}

do {
    try handles()
    try manager()
    bare()
    try parallel()
} catch {
    print("failed: \(error)")
}
FileHandle.standardError.write(Data("on stderr\n".utf8))
exit(4)
