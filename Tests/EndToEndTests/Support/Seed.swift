import Foundation

/// A small generator whose seed is printed, so that a run can be repeated with `TOCSIN_SEED` (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    /// Takes `TOCSIN_SEED`, else a fresh seed, and prints which.
    init(for test: String) {
        let chosen = ProcessInfo.processInfo.environment["TOCSIN_SEED"].flatMap { UInt64($0) }
        seed = chosen ?? UInt64.random(in: 1...UInt64(UInt32.max))
        state = seed
        print("\(test): TOCSIN_SEED=\(seed)")
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
