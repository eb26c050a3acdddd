import Foundation

/// The two-sample Kolmogorov–Smirnov test: whether two samples may come from one distribution.
struct KolmogorovSmirnov: CustomStringConvertible {
    /// The largest distance between the two empirical distribution functions, 0 to 1.
    let statistic: Double
    /// What the statistic exceeds once in `1 / significance` times where there is only one distribution (asymptotic).
    let threshold: Double

    /// Too rare to fail a build by chance: once in ten thousand runs.
    static let significance = 0.0001

    var isSeparated: Bool { statistic > threshold }

    var description: String {
        let digits: (Double) -> String = { String(format: "%.4f", $0) }
        return "D = \(digits(statistic)), threshold \(digits(threshold)) at α = \(Self.significance)"
    }

    init(_ first: [Double], _ second: [Double]) {
        let (a, b) = (first.sorted(), second.sorted())
        var (i, j, largest) = (0, 0, 0.0)
        while i < a.count, j < b.count {
            let value = min(a[i], b[j])
            while i < a.count, a[i] == value { i += 1 }
            while j < b.count, b[j] == value { j += 1 }
            largest = max(largest, abs(Double(i) / Double(a.count) - Double(j) / Double(b.count)))
        }
        statistic = largest
        let (n, m) = (Double(a.count), Double(b.count))
        threshold = (-0.5 * log(Self.significance / 2) * (n + m) / (n * m)).squareRoot()
    }
}
