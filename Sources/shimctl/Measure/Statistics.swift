import Glibc

/// What samples say.
enum Statistics {
    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    static func mean(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }

    /// The standard deviation of the values from their mean; 0 for fewer than two.
    static func deviation(_ values: [Double]) -> Double {
        guard values.count > 1 else { return 0 }
        let mean = mean(values)
        let squares = values.map { ($0 - mean) * ($0 - mean) }
        return (squares.reduce(0, +) / Double(values.count - 1)).squareRoot()
    }

    /// The interval in which the median of `values` lies with a probability of 95 %, by 2,000 bootstrap samples.
    static func interval(ofMedian values: [Double]) -> ClosedRange<Double>? {
        guard values.count > 1 else { return nil }
        let medians = (0..<2_000).compactMap { _ in
            median((0..<values.count).map { _ in values[Int.random(in: values.indices)] })
        }.sorted()
        return medians[medians.count / 40]...medians[medians.count - 1 - medians.count / 40]
    }

    /// Whether a value lies so far out that the machine was busy with something else: more than 14.8 times the median
    /// of the distances from the median, which is ten standard deviations of a normal distribution (hyperfine(1) warns
    /// by the same rule).
    static func hasOutliers(_ values: [Double]) -> Bool {
        guard values.count > 4, let middle = median(values), let distance = median(values.map { abs($0 - middle) })
        else {
            return false
        }
        return distance > 0 && values.contains { abs($0 - middle) > 14.826 * distance }
    }
}
