import FoundationEssentials
import Glibc

/// Numbers as people read them.
enum Figures {
    /// Bytes with a binary unit and three significant digits or so: `512 B`, `1.50 KiB`, `23.4 MiB`.
    static func bytes(_ count: UInt64) -> String {
        bytes(Double(count))
    }

    static func bytes(_ count: Double) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = count
        var unit = 0
        while value >= 1024, unit + 1 < units.count {
            value /= 1024
            unit += 1
        }
        if unit == 0 { return fixed(value, decimals: 0) + " B" }
        let decimals = value < 10 ? 2 : value < 100 ? 1 : 0
        return fixed(value, decimals: decimals) + " " + units[unit]
    }

    /// With so many digits after the point, as printf(3) rounds.
    static func fixed(_ value: Double, decimals: Int) -> String {
        var text = [CChar](repeating: 0, count: 400)  // the greatest double has 309 digits before the point
        let count = withVaList([Int32(decimals), value]) { vsnprintf(&text, text.count, "%.*f", $0) }
        return String(decoding: text.prefix(max(Int(count), 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Seconds since 1970 as a date; a number that no date has as it is.
    static func time(_ seconds: UInt64) -> String {
        guard seconds < 1 << 37 else { return "\(seconds)" }
        return Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    /// A count with its digits in groups of three: `1,234,567`.
    static func count(_ value: UInt64) -> String {
        let digits = Array(String(value))
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return result
    }

    /// `1 error`, `2 errors`, `no errors`.
    static func number(_ count: Int, _ thing: String) -> String {
        switch count {
        case 0: "no \(thing)s"
        case 1: "1 \(thing)"
        default: "\(Self.count(UInt64(max(count, 0)))) \(thing)s"
        }
    }

    /// Seconds with three significant digits or so: `1.20 s`, `340 ms`, `2 h 5 min`; with a minus where it is negative.
    static func duration(_ nanoseconds: Double) -> String {
        if nanoseconds < 0 { return "-" + duration(-nanoseconds) }
        switch nanoseconds {
        case ..<1e6: return fixed(nanoseconds / 1e3, decimals: 0) + " us"
        case ..<1e9: return fixed(nanoseconds / 1e6, decimals: nanoseconds < 1e7 ? 1 : 0) + " ms"
        case ..<120e9: return fixed(nanoseconds / 1e9, decimals: nanoseconds < 1e10 ? 2 : 1) + " s"
        default:
            let minutes = Int(min(nanoseconds / 60e9, 1e12))
            return minutes < 60 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
        }
    }

    /// `part` of `whole` in percent with one decimal; nothing for an empty whole.
    static func percent(_ part: UInt64, of whole: UInt64) -> Double? {
        guard whole > 0 else { return nil }
        // Rounded down: 100.0 is said only when it is all.
        return (Double(part) / Double(whole) * 1000).rounded(.down) / 10
    }

    /// The percentage as text; `-` for an empty whole.
    static func percentText(_ part: UInt64, of whole: UInt64) -> String {
        percent(part, of: whole).map { fixed($0, decimals: 1) } ?? "-"
    }
}

extension UInt64 {
    /// The sum, or the greatest number where it would be more: figures from a scribbled file must not trap.
    func saturatingAdd(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    /// The difference, or 0 where it would be less: a counter that was reset between two samples.
    func saturatingSubtract(_ other: UInt64) -> UInt64 {
        self > other ? self - other : 0
    }
}
