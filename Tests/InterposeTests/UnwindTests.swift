import Foundation
import TestSupport
import Testing

@Suite("Unwinders get through every frame of the shim")
struct UnwindTests {
    /// What an exception out of a signal handler, a cancelled thread's clean-up and a crash reporter walk by.
    @Test("every function has its entry in .eh_frame, which is there without debug information too")
    func everyFunctionHasUnwindInformation() throws {
        let library = try Shim.library
        // Of this file, not of its debug information, in which the section is empty.
        let frames = try LibrarySymbols.output("/usr/bin/readelf", ["--debug-dump=frames,no-follow-links", library])
        let section = try #require(
            frames.components(separatedBy: "Contents of the ").first { $0.hasPrefix(".eh_frame section") })
        let covered = section.split(separator: "\n").compactMap { line -> Range<UInt64>? in
            guard line.contains(" FDE "), let pc = line.range(of: "pc=") else { return nil }
            let ends = line[pc.upperBound...].components(separatedBy: "..").compactMap { UInt64($0, radix: 16) }
            return ends.count == 2 ? ends[0]..<ends[1] : nil
        }
        #expect(covered.count > 100)
        let functions = try LibrarySymbols.output("/usr/bin/nm", ["-S", library]).split(separator: "\n")
            .map { $0.split(separator: " ") }.filter { $0.count == 4 && ["t", "T"].contains($0[2]) }
        let bare = functions.filter { words in
            // Known by its bytes, as unwinders expect of it.
            guard words[3] != "__restore_rt", let address = UInt64(words[0], radix: 16) else { return false }
            return !covered.contains { $0.contains(address) }
        }
        #expect(bare.map { $0[3] } == [])
    }
}
