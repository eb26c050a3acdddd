import Foundation
import TocsinCore

/// Repeatable randomness (SplitMix64): a failed run names its seed, and `TOCSIN_SEED` plays it again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// Whether something of that probability happens.
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    /// One of several; the list is a constant of the test, so it is never empty.
    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: elements.indices, using: &self)]
    }
}

/// The seed of this run: the one that was asked for, else a new one.
enum Seed {
    static let current: UInt64 =
        ProcessInfo.processInfo.environment["TOCSIN_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64(UInt32.max))

    /// Says which seed a test runs with.
    static func announced(for test: String) -> UInt64 {
        print("\(test): TOCSIN_SEED=\(current)")
        return current
    }
}
