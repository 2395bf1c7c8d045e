import PmemShim

/// What calls on a mount took, and what they would have taken without the library: counters priced by a calibration.
/// CPU time, ns.
struct Estimate {
    /// Calls that were passed on for one reason, and what the kernel took for them.
    struct Loss: Equatable {
        let kind: CallFamily.Kind
        let outcome: CallOutcome
        let calls: UInt64
        let ns: Double
    }

    /// All data calls, if the kernel had done them.
    private(set) var native = 0.0
    /// Of these, the calls that were served.
    private(set) var servable = 0.0
    /// What the calls took with the library, windows and pages included.
    private(set) var shim = 0.0
    /// The dearest first.
    private(set) var losses: [Loss] = []

    /// What the library saved; negative where it cost more than it gained.
    var saved: Double { native - shim }

    init() {}

    /// - Parameter processes: that have mapped windows: the first one of each costs more than others.
    init(_ counters: CallCounters, processes: UInt64, by calibration: Calibration) {
        add(.read, counters, counters.servedRead, counters.passedRead, calibration)
        add(.write, counters, counters.servedWritten, counters.passedWritten, calibration)
        let syncs = Double(counters.served(.sync))
        native += syncs * calibration.native.sync + Double(counters.passedOn(.sync)) * calibration.native.sync
        servable += syncs * calibration.native.sync
        shim += syncs * calibration.served.sync + Double(counters.passedOn(.sync)) * calibration.native.sync
        let moved = counters.servedRead.saturatingAdd(counters.servedWritten)
        // No more pages of them were touched than bytes were moved.
        let pages = min(moved, counters.windowedBytes) / 4_096
        shim += Double(counters.windowsTotal) * calibration.window + Double(pages) * calibration.page
        shim += Double(processes) * Double(Price.first)
        losses.sort { $0.ns > $1.ns }
    }

    private mutating func add(
        _ kind: CallFamily.Kind, _ counters: CallCounters, _ servedBytes: UInt64, _ passedBytes: UInt64,
        _ calibration: Calibration
    ) {
        let (calls, passed) = (Double(counters.served(kind)), Double(counters.passedOn(kind)))
        func price(_ side: Calibration.Side, of bytes: Double) -> Double {
            (kind == .read ? side.read : side.write).cost(bytes: bytes)
        }
        if calls > 0 {
            let bytes = Double(servedBytes) / calls
            native += calls * price(calibration.native, of: bytes)
            servable += calls * price(calibration.native, of: bytes)
            shim += calls * price(calibration.served, of: bytes)
        }
        guard passed > 0 else { return }
        let bytes = Double(passedBytes) / passed
        for outcome in CallOutcome.allCases.dropFirst() {
            let count = counters.calls(kind, outcome)
            guard count > 0 else { continue }
            let grows = kind == .write && (outcome == .end || outcome == .append)
            let before = grows ? calibration.native.append.cost(bytes: bytes) : price(calibration.native, of: bytes)
            let after = grows ? max(calibration.served.append.cost(bytes: bytes), before) : before
            native += Double(count) * before
            shim += Double(count) * after
            losses.append(Loss(kind: kind, outcome: outcome, calls: count, ns: Double(count) * before))
        }
    }

    static func += (sum: inout Estimate, other: Estimate) {
        sum.native += other.native
        sum.servable += other.servable
        sum.shim += other.shim
        for loss in other.losses {
            if let index = sum.losses.firstIndex(where: { $0.kind == loss.kind && $0.outcome == loss.outcome }) {
                let old = sum.losses[index]
                sum.losses[index] = Loss(
                    kind: old.kind, outcome: old.outcome, calls: old.calls.saturatingAdd(loss.calls),
                    ns: old.ns + loss.ns)
            } else {
                sum.losses.append(loss)
            }
        }
        sum.losses.sort { $0.ns > $1.ns }
    }
}

extension Estimate.Loss {
    /// `900,000 appends`.
    var title: String {
        let what =
            switch (kind, outcome) {
            case (.write, .append), (.write, .end): "writes at or behind the end"
            case (.read, .end): "reads that reach the end"
            case (.read, .cold): "reads before the file was mapped"
            case (.write, .cold): "writes before the file was mapped"
            case (.read, _): "reads (\(outcome.explanation))"
            default: "writes (\(outcome.explanation))"
            }
        return "\(Figures.count(calls)) \(what)"
    }
}
