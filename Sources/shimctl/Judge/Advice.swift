import CShimSys
import FoundationEssentials
import SystemPackage

/// What `advise` says of a program that was run.
struct Advice {
    let command: String
    let run: MeasuredRun
    /// Nothing where no mount is calibrated, or nothing was counted.
    let estimate: Estimate?
    /// The native run, where there was one.
    let native: ChildProcess.Ending?

    private var counters: CallCounters { run.snapshot.counters }

    /// Elapsed and CPU time that the program would have taken natively, ns.
    private var expected: (wall: Double, cpu: Double)? {
        let (wall, cpu) = (Double(run.ending.wall), Double(run.ending.cpu))
        // Where nothing was counted, nothing was saved.
        guard let estimate else { return run.snapshot.mounts.isEmpty ? (wall, cpu) : nil }
        // Work of several threads or processes at once is saved at once, too.
        let atOnce = max(wall > 0 ? cpu / wall : 1, 1)
        return (wall + estimate.saved / atOnce, cpu + estimate.saved)
    }

    func text(width: Int) -> String {
        var lines = ["", "\(command):"]
        guard let estimate, let expected, counters.total > 0 else {
            lines += Wrapped.lines(
                "No call on a served mount was counted: no directory was named where its files lie (--mount), it made"
                    + " too few calls (below \(ps_setting.firstCalls) none is looked at), or it cannot be served"
                    + " (shimctl check). It took \(Figures.duration(Double(run.ending.wall))).", 2, width)
            return lines.joined(separator: "\n")
        }
        let share = Figures.percentText(counters.served, of: counters.total)
        lines += Wrapped.lines(
            "With the shim it took \(Figures.duration(Double(run.ending.wall)))"
                + " (\(Figures.duration(Double(run.ending.cpu))) of CPU), without it"
                + " \(Figures.duration(expected.wall)) (\(Figures.duration(expected.cpu))) are expected.", 2, width)
        lines += Wrapped.lines(
            "Of those \(Figures.duration(expected.wall)), \(Figures.duration(estimate.native)) go into data calls on"
                + " served mounts; \(Figures.duration(estimate.servable)) of them were served (\(share) % of"
                + " \(Figures.count(counters.total)) calls), in"
                + " \(Figures.duration(max(estimate.shim - estimate.native + estimate.servable, 0))).", 2, width)
        lines += Wrapped.lines(verdict(estimate, expected), 2, width)
        for (index, loss) in estimate.losses.prefix(3).enumerated() where loss.ns > estimate.native / 50 {
            let title = index == 0 ? "Biggest loss" : "Then"
            lines += Wrapped.lines("\(title): \(loss.title): \(Figures.duration(loss.ns)).", 2, width)
            if let cure = loss.outcome.cure { lines += Wrapped.lines("-> \(cure)", 6, width) }
        }
        if let native { lines += Wrapped.lines(truth(native, expected), 2, width) }
        return lines.joined(separator: "\n")
    }

    private func verdict(_ estimate: Estimate, _ expected: (wall: Double, cpu: Double)) -> String {
        let gain = estimate.saved / max(expected.cpu, 1)
        let percent = Figures.fixed(abs(gain) * 100, decimals: 0)
        switch gain {
        case 0.1...: return "Worth it: \(Figures.duration(estimate.saved)) saved, \(percent) % of the CPU time."
        case 0.02..<0.1: return "A little: \(Figures.duration(estimate.saved)) saved, \(percent) % of the CPU time."
        case -0.02..<0.02: return "It makes no difference to speak of."
        default:
            return
                "It costs more than it gains here: \(Figures.duration(-estimate.saved)), \(percent) % of the CPU time."
        }
    }

    private func truth(_ native: ChildProcess.Ending, _ expected: (wall: Double, cpu: Double)) -> String {
        let error = (expected.wall / max(Double(native.wall), 1) - 1) * 100
        let off = Figures.fixed(abs(error), decimals: 0)
        return "In truth the native run took \(Figures.duration(Double(native.wall)))"
            + " (\(Figures.duration(Double(native.cpu))) of CPU): the estimate is"
            + (off == "0" ? " right." : " \(off) % too \(error > 0 ? "high" : "low").")
    }

    struct Document: Encodable {
        struct Loss: Encodable {
            let kind: String
            let reason: String
            let calls: UInt64
            let ns: Double
            @Explicit var cure: String?
        }

        let schema = "pmemshim.advice/1"
        let command: String
        let exitStatus: Int32
        let elapsedNs: UInt64
        let cpuNs: UInt64
        @Explicit var expectedNativeElapsedNs: Double?
        @Explicit var expectedNativeCpuNs: Double?
        @Explicit var nativeElapsedNs: UInt64?
        @Explicit var nativeCpuNs: UInt64?
        @Explicit var callsNativeNs: Double?
        @Explicit var callsServedNativeNs: Double?
        @Explicit var callsNs: Double?
        @Explicit var savedNs: Double?
        let losses: [Loss]
        let figures: CallFigures
    }

    var document: Document {
        Document(
            command: command, exitStatus: run.ending.exitStatus, elapsedNs: run.ending.wall, cpuNs: run.ending.cpu,
            expectedNativeElapsedNs: Explicit(wrappedValue: expected?.wall),
            expectedNativeCpuNs: Explicit(wrappedValue: expected?.cpu),
            nativeElapsedNs: Explicit(wrappedValue: native?.wall), nativeCpuNs: Explicit(wrappedValue: native?.cpu),
            callsNativeNs: Explicit(wrappedValue: estimate?.native),
            callsServedNativeNs: Explicit(wrappedValue: estimate?.servable),
            callsNs: Explicit(wrappedValue: estimate?.shim), savedNs: Explicit(wrappedValue: estimate?.saved),
            losses: (estimate?.losses ?? []).map {
                Document.Loss(
                    kind: $0.kind == .read ? "read" : "write", reason: $0.outcome.name, calls: $0.calls, ns: $0.ns,
                    cure: Explicit(wrappedValue: $0.outcome.cure))
            }, figures: CallFigures(counters))
    }
}
