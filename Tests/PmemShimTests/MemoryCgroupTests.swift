import Testing

@testable import PmemShim

@Suite("The memory cgroup of a process, and numbers of bytes")
struct MemoryCgroupTests {
    private func found(_ text: String) -> (path: String, isUnified: Bool)? {
        withBytes(text) { bytes in
            MemoryCgroup(bytes).map { (String(bytes: $0.path), $0.isUnified) }
        }
    }

    private func file(_ text: String, _ levels: Int, room: Int = 4_096) -> String? {
        withBytes(text) { bytes in
            guard let cgroup = MemoryCgroup(bytes) else { return nil }
            var name = [UInt8](repeating: 1, count: room)
            return name.withUnsafeMutableBufferPointer { room in
                guard cgroup.fileOfLimit(levels, room), let end = room.firstIndex(of: 0) else { return nil }
                return String(decoding: room[..<end], as: UTF8.self)
            }
        }
    }

    @Test func versionTwoIsTheLineWithoutControllers() throws {
        let cgroup = try #require(found("0::/user.slice/a.scope\n"))
        #expect(cgroup.path == "/user.slice/a.scope")
        #expect(cgroup.isUnified)
    }

    @Test func versionOneGoesBeforeVersionTwo() throws {
        let cgroup = try #require(found("9:cpu,memory:/a/b\n1:cpu:/c\n0::/d\n"))
        #expect(cgroup.path == "/a/b")
        #expect(!cgroup.isUnified)
    }

    @Test(arguments: ["", "\n", "nonsense", "1:memory", "1:memory:", "1:memory:relative\n", "4:memorys:/x\n", "::"])
    func nothingIsFoundInOtherText(text: String) {
        #expect(found(text) == nil)
    }

    @Test func theFileOfEachLevelIsNamedUpToTheRoot() {
        let text = "4:memory:/a/b\n"
        #expect(file(text, 0) == "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes")
        #expect(file(text, 1) == "/sys/fs/cgroup/memory/a/memory.limit_in_bytes")
        #expect(file(text, 2) == "/sys/fs/cgroup/memory/memory.limit_in_bytes")
        #expect(file(text, 3) == nil)
        #expect(file("0::/\n", 0) == "/sys/fs/cgroup/memory.max")
        #expect(file("0::/\n", 1) == nil)
    }

    @Test func aNameThatIsTooLongIsNotCut() {
        let text = "0::/a\n"
        let length = "/sys/fs/cgroup/a/memory.max".utf8.count
        #expect(file(text, 0, room: length + 1) != nil)
        #expect(file(text, 0, room: length) == nil)
    }

    @Test func aLimitIsANumberOrNone() {
        #expect(withBytes("6291456\n") { MemoryCgroup.limit($0) } == 6_291_456)
        #expect(withBytes("max\n") { MemoryCgroup.limit($0) } == nil)
        #expect(withBytes("") { MemoryCgroup.limit($0) } == nil)
    }

    @Test(arguments: [
        ("0", 0), ("65536", 65_536), ("64K", 65_536), ("8M", 8 << 20), ("1G", 1 << 30),
        ("9223372036854775807", UInt64(Int64.max)),
    ])
    func bytesAreCountedInPowersOf1024(text: String, bytes: UInt64) {
        #expect(withBytes(text) { ByteCount.parse($0) } == bytes)
    }

    @Test(arguments: ["", "K", "1k", "1KB", "-1", " 1", "1.5M", "9999999999G", "99999999999999999999"])
    func otherTextIsNoNumberOfBytes(text: String) {
        #expect(withBytes(text) { ByteCount.parse($0) } == nil)
    }
}
