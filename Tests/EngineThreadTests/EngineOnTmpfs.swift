import CShimSys
import Foundation
import TestSupport
import Testing

/// A suite in front of which the engine is started in the test process, on a mount of its own; behind it all windows
/// are taken away again. The engine reads its settings once per process: one suite only can have this.
struct EngineOnTmpfs: SuiteTrait, TestScoping {
    @TaskLocal static var place: Place?

    struct Place {
        let directory: String
        let runtime: String
    }

    func provideScope(for test: Test, testCase: Test.Case?, performing function: () async throws -> Void) async throws {
        // With huge pages the last 2 MiB of a file are the kernel's: plain pages leave more to be served.
        let mount = try ScratchMount(.tmpfs, mebibytes: 256)
        defer { mount.close() }
        let runtime = try ScratchDirectory(in: "/dev/shm")
        defer { runtime.close() }
        let settings = [
            "PMEMSHIM_MOUNTS=\(mount.directory)", "PMEMSHIM_MAP_AFTER=0",
            "PMEMSHIM_RUNTIME_DIR=\(runtime.path)", "PMEMSHIM_LOG=\(runtime.path)/log",
        ]
        var block = settings.map { strdup($0) } + [nil]
        defer { for text in block { free(text) } }
        engineStart(environment: &block)
        let place = Place(directory: mount.directory, runtime: runtime.path)
        try await EngineOnTmpfs.$place.withValue(place) { try await function() }
        engineEvictAll()
    }
}

/// A file full of its own pattern on the engine's mount.
struct Sample {
    static let blockSize = 4_096
    let path: String
    let tag: UInt8
    let blocks: Int

    init(_ name: String, tag: UInt8, blocks: Int = 256) throws {
        guard let place = EngineOnTmpfs.place else { throw SetupError("the engine has not been started") }
        self.path = "\(place.directory)/\(name)"
        self.tag = tag
        self.blocks = blocks
        let bytes = Data((0..<blocks).flatMap { block in [UInt8](repeating: tag &+ UInt8(block % 16), count: 4_096) })
        try bytes.write(to: URL(filePath: path))
    }

    /// What every byte of a block is at the start.
    func byte(_ block: Int) -> UInt8 { tag &+ UInt8(block % 16) }
}

/// How many calls the engine served while `body` ran, as its statistics have it.
func servedCalls(_ body: () throws -> Void) throws -> Int {
    guard let place = EngineOnTmpfs.place else { throw SetupError("the engine has not been started") }
    let before = try ServedCounts.read(runtimeDirectory: place.runtime).served()
    try body()
    return try ServedCounts.read(runtimeDirectory: place.runtime).served() - before
}

/// Runs `body`, whose threads say what they find wrong; expects that it is nothing, and that calls were served.
func expectNothingWrong(sourceLocation: SourceLocation = #_sourceLocation, _ body: (Wrong) throws -> Void) throws {
    let wrong = Wrong()
    let served = try servedCalls { try body(wrong) }
    #expect(wrong.times == 0, sourceLocation: sourceLocation)
    #expect(served > 0, sourceLocation: sourceLocation)
}

extension UnsafeMutableRawBufferPointer {
    /// The byte that all of them are; nothing where they differ.
    func uniform(_ count: Int) -> UInt8? {
        guard count > 0, count <= self.count else { return nil }
        // Against itself, one byte on: a loop in Swift takes a thousand times as long where each load is watched.
        guard let start = baseAddress, memcmp(start, start + 1, count - 1) == 0 else { return nil }
        return self[0]
    }

    func fill(_ byte: UInt8) {
        if let baseAddress { memset(baseAddress, Int32(byte), count) }
    }
}

/// A buffer of a block's size for the time of `body`.
func withBlock<Result>(_ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Sample.blockSize, alignment: 64)
    defer { buffer.deallocate() }
    return body(buffer)
}
