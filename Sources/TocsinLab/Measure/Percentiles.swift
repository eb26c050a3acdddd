/// Order statistics of a set of measurements.
package struct Percentiles: Sendable {
    private let sorted: [UInt64]

    package init(_ measurements: some Sequence<UInt64>) { sorted = measurements.sorted() }

    package var count: Int { sorted.count }
    package var maximum: UInt64 { sorted.last ?? 0 }

    /// The smallest measurement that at least `percent` of all do not exceed (nearest rank); 0 if there are none.
    package func at(_ percent: Double) -> UInt64 {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((percent / 100 * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }
}

/// Several runs of one benchmark: the median speaks, the worst is shown beside it.
package struct Runs: Sendable {
    package var values: [Double]
    /// Whether more is better: decides which run is the worst.
    package var higherIsBetter: Bool

    package init(_ values: [Double], higherIsBetter: Bool) {
        self.values = values
        self.higherIsBetter = higherIsBetter
    }

    /// The middle run; of an even number the worse of the two in the middle, so that no run is invented.
    package var median: Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        return higherIsBetter ? sorted[(sorted.count - 1) / 2] : sorted[sorted.count / 2]
    }

    package var worst: Double { (higherIsBetter ? values.min() : values.max()) ?? 0 }
}
