import Foundation
import TestSupport
import Testing

@Suite("Page arrays are soft", .serialized)
struct PageArrayNoiseTests {
    /// Random bytes, words that count but lie, and a file cut short, every 10 ms: no difference, no signal, no hang.
    @Test("overwriting them every 10 ms changes nothing that a program can see", arguments: [0, nil])
    func overwritten(mapAfter: Int?) throws {
        let mount = try ScratchMount(.tmpfs, mebibytes: 512)
        let runtime = try ScratchDirectory(in: "/dev/shm")
        let places = ["served", "reference", "outside"]
        for place in places {
            try FileManager.default.createDirectory(atPath: mount.path(place), withIntermediateDirectories: false)
        }
        let run = try run(
            Programs.path("scribble"),
            ["\(runtime.path)/pages", Programs.path("exerciser")] + places.flatMap { ["--\($0)", mount.path($0)] }
                + ["--seconds", "6", "--sequences", "1000", "--quiet", "--no-minimise", "--timeout", "60"],
            preload: true, mounts: [mount.path("served")], mapAfter: mapAfter, runtimeDirectory: runtime.path,
            timeout: .seconds(120))
        #expect(run.ending == .exited(0), "\(run.stdout)\(run.stderr)")
        #expect(run.stdout.contains("differences 0"))
        #expect(run.stderr.contains("scribbled"))
        if mapAfter != nil { #expect(run.counts.served() > 1_000) }
    }
}
