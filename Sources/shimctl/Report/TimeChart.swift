/// A drawing of values over time, with axes.
struct TimeChart {
    struct Series {
        let name: String
        /// A class of the page's style sheet: `served`, `passed`, `third`.
        let style: String
        /// One for each moment, and what was between it and the moment before; nothing: a gap in a line.
        let values: [Double?]
    }

    let title: String
    /// Seconds since the beginning, rising.
    let moments: [Double]
    let series: [Series]
    /// Areas one upon the other, or lines.
    let isStacked: Bool
    /// The greatest value; nothing: what the values need.
    var most: Double?
    /// Bytes, whose units are powers of 1,024.
    var areBytes = false
    /// A value for people.
    let shown: (Double) -> String

    private static let width = 860.0
    private static let height = 240.0
    private static let left = 84.0
    private static let right = 16.0
    private static let top = 12.0
    private static let bottom = 32.0

    var svg: String {
        var drawing = Svg(width: Self.width, height: Self.height)
        let end = max(moments.last ?? 1, 1e-3)
        let greatest = max(most ?? (areBytes ? Self.binary(stackedMost) : Self.rounded(stackedMost)), 1e-9)
        func x(_ second: Double) -> Double { Self.left + second / end * (Self.width - Self.left - Self.right) }
        func y(_ value: Double) -> Double {
            Self.height - Self.bottom - min(value / greatest, 1) * (Self.height - Self.top - Self.bottom)
        }
        for step in 0...4 {
            let value = greatest * Double(step) / 4
            drawing.line(Self.left, y(value), Self.width - Self.right, y(value), step == 0 ? "axis" : "grid")
            drawing.label(Self.left - 8, y(value) + 4, shown(value), .end)
        }
        for step in 0...5 {
            let second = end * Double(step) / 5
            drawing.label(x(second), Self.height - 10, Figures.duration(second * 1e9), step == 5 ? .end : .middle)
        }
        var below = moments.map { _ in 0.0 }
        for line in series {
            if isStacked {
                let values = zip(below, line.values).map { $0 + ($1 ?? 0) }
                let upper = zip(moments, values).map { (x: x($0), y: y($1)) }
                let lower = zip(moments, below).map { (x: x($0), y: y($1)) }
                drawing.path(upper + lower.reversed(), closed: true, "area \(line.style)")
                below = values
            } else {
                for part in parts(of: line.values) {
                    drawing.path(part.map { (x: x($0), y: y($1)) }, closed: false, "line \(line.style)")
                }
            }
        }
        return drawing.text(title: title)
    }

    /// The points of a line between its gaps. Each part begins where its first value does, so that one value alone is
    /// seen too.
    private func parts(of values: [Double?]) -> [[(second: Double, value: Double)]] {
        var result: [[(second: Double, value: Double)]] = []
        var begin = 0.0
        var isGap = true
        for (moment, value) in zip(moments, values) {
            if let value {
                if isGap { result.append([(begin, value)]) }
                result[result.count - 1].append((moment, value))
            }
            isGap = value == nil
            begin = moment
        }
        return result
    }

    /// What the colours mean.
    var legend: String {
        let items = series.map { "<span><i class=\"\($0.style)\"></i>\(Html.escaped($0.name))</span>" }
        return "<p class=\"legend\">\(items.joined())</p>"
    }

    private var stackedMost: Double {
        moments.indices.map { index in
            let values = series.map { $0.values.indices.contains(index) ? $0.values[index] ?? 0 : 0 }
            return isStacked ? values.reduce(0, +) : values.max() ?? 0
        }.max() ?? 1
    }

    /// A power of two: four even steps of whole units.
    private static func binary(_ value: Double) -> Double {
        var result = 4.0
        while result < value, result < 1e18 { result *= 2 }
        return result
    }

    /// 1, 2, 4 or 8 times a power of ten: four even steps.
    private static func rounded(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        var unit = 1.0
        while unit * 10 <= value { unit *= 10 }
        while unit > value { unit /= 10 }
        return [1.0, 2, 4, 8, 10].map { $0 * unit }.first { $0 >= value } ?? value
    }
}
