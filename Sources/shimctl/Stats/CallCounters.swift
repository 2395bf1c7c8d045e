import CShimSys

/// Counters of one mount, summed over threads or processes (struct ps_stats_counters). Sums saturate.
struct CallCounters: Equatable {
    private var calls = [UInt64](repeating: 0, count: StatsLayout.families * StatsLayout.outcomes)
    /// Bytes moved by the shim.
    private(set) var servedRead: UInt64 = 0
    private(set) var servedWritten: UInt64 = 0
    /// Bytes moved by the kernel for calls that were passed on.
    private(set) var passedRead: UInt64 = 0
    private(set) var passedWritten: UInt64 = 0
    /// SIGBUS and SIGSEGV survived in a guarded copy.
    private(set) var faults: UInt64 = 0
    /// Windows mapped now, and bytes of their address space: threads add and take away, so that these are sums modulo
    /// 2^64, and figures of one thread alone may be "negative". A sum that is negative is damage, and reads as nothing.
    private var windowBalance: UInt64 = 0
    private var mappedBalance: UInt64 = 0
    /// Windows mapped since the process began.
    private(set) var windowsTotal: UInt64 = 0

    /// Bytes of files that have come into windows.
    var windowedBytes: UInt64 { calls[Int(PS_FAMILY_OTHER.rawValue) * StatsLayout.outcomes] }

    var windows: UInt64 { windowBalance >> 63 == 0 ? windowBalance : 0 }
    var mappedBytes: UInt64 { mappedBalance >> 63 == 0 ? mappedBalance : 0 }

    init() {}

    /// The counters at `offset` of `bytes`.
    init(_ bytes: StatsBytes, at offset: Int) {
        for index in calls.indices { calls[index] = bytes.number(at: offset + index * 8) }
        let tail = offset + calls.count * 8
        servedRead = bytes.number(at: tail)
        servedWritten = bytes.number(at: tail + 8)
        passedRead = bytes.number(at: tail + 16)
        passedWritten = bytes.number(at: tail + 24)
        faults = bytes.number(at: tail + 32)
        windowBalance = bytes.number(at: tail + 40)
        mappedBalance = bytes.number(at: tail + 48)
        windowsTotal = bytes.number(at: tail + 56)
    }

    func calls(_ family: CallFamily, _ outcome: CallOutcome) -> UInt64 {
        calls[family.rawValue * StatsLayout.outcomes + outcome.rawValue]
    }

    func served(_ family: CallFamily) -> UInt64 { calls(family, .served) }

    func passedOn(_ family: CallFamily) -> UInt64 {
        CallOutcome.allCases.dropFirst().reduce(0) { $0.saturatingAdd(calls(family, $1)) }
    }

    func total(_ family: CallFamily) -> UInt64 { served(family).saturatingAdd(passedOn(family)) }

    /// Of all families of one kind.
    func served(_ kind: CallFamily.Kind) -> UInt64 { sum(of: kind) { served($0) } }
    func passedOn(_ kind: CallFamily.Kind) -> UInt64 { sum(of: kind) { passedOn($0) } }
    func calls(_ kind: CallFamily.Kind, _ outcome: CallOutcome) -> UInt64 { sum(of: kind) { calls($0, outcome) } }

    /// Why calls were passed on, and how many: the most frequent reason first, those without calls left out.
    var reasons: [(outcome: CallOutcome, calls: UInt64)] {
        CallOutcome.allCases.dropFirst().map { outcome in
            (outcome, CallFamily.allCases.reduce(UInt64(0)) { $0.saturatingAdd(calls($1, outcome)) })
        }.filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
    }

    private func sum(of kind: CallFamily.Kind, _ count: (CallFamily) -> UInt64) -> UInt64 {
        CallFamily.allCases.reduce(0) { $1.kind == kind ? $0.saturatingAdd(count($1)) : $0 }
    }

    var served: UInt64 { CallFamily.allCases.reduce(0) { $0.saturatingAdd(served($1)) } }
    var passedOn: UInt64 { CallFamily.allCases.reduce(0) { $0.saturatingAdd(passedOn($1)) } }
    var total: UInt64 { served.saturatingAdd(passedOn) }

    static func += (sum: inout CallCounters, other: CallCounters) {
        sum.combine(other) { $0.saturatingAdd($1) }
        sum.windowBalance &+= other.windowBalance
        sum.mappedBalance &+= other.mappedBalance
    }

    /// What was counted since `earlier`; never less than nothing.
    func since(_ earlier: CallCounters) -> CallCounters {
        var result = self
        result.combine(earlier) { $0.saturatingSubtract($1) }
        return result
    }

    private mutating func combine(_ other: CallCounters, _ operation: (UInt64, UInt64) -> UInt64) {
        for index in calls.indices { calls[index] = operation(calls[index], other.calls[index]) }
        servedRead = operation(servedRead, other.servedRead)
        servedWritten = operation(servedWritten, other.servedWritten)
        passedRead = operation(passedRead, other.passedRead)
        passedWritten = operation(passedWritten, other.passedWritten)
        faults = operation(faults, other.faults)
        windowsTotal = operation(windowsTotal, other.windowsTotal)
    }
}
