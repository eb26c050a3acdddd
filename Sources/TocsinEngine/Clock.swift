import Foundation
import Synchronization
import TocsinCore

/// Tells the time; the only way in which anything beyond the program's wiring learns it.
package protocol WallClock: Sendable {
    var now: Instant { get }

    /// Returns when `instant` is reached, or throws when the task is cancelled.
    func sleep(until instant: Instant) async throws
}

/// The machine's clock.
package struct SystemClock: WallClock {
    package init() {}

    package var now: Instant {
        Instant(millisecondsSinceEpoch: Int64(Date().timeIntervalSince1970 * 1000))
    }

    package func sleep(until instant: Instant) async throws {
        // A wall clock may be stepped while we sleep; short naps bound by how much that can delay a deadline.
        while true {
            let remaining = instant - now
            if remaining <= .zero { return }
            try await Task.sleep(for: min(remaining, .seconds(1)))
        }
    }
}

/// Draws ids, tokens and jitter; tests inject one that counts.
package protocol Randomness: Sendable {
    func next() -> UInt64
}

extension Randomness {
    package func id<Noun>(_: Noun.Type = Noun.self, at instant: Instant) -> ID<Noun> {
        ID(at: instant, random: (high: UInt16(truncatingIfNeeded: next()), low: next()))
    }

    package func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }

    /// A number in 0..<1.
    package func fraction() -> Double { Double(next() >> 11) / Double(1 << 53) }
}

/// The operating system's generator, asked for many words at once: an event takes two, and each call is a system call.
package struct SystemRandomness: Randomness {
    private final class Supply: Sendable {
        /// What one call of `getentropy` gives.
        private static let words = 256 / MemoryLayout<UInt64>.size
        private let unused = Mutex<[UInt64]>([])

        func next() -> UInt64 {
            unused.withLock { unused in
                if let word = unused.popLast() { return word }
                var words = [UInt64](repeating: 0, count: Self.words)
                let isFilled = words.withUnsafeMutableBytes { bytes in
                    bytes.baseAddress.map { getentropy($0, bytes.count) } == 0
                }
                if !isFilled {
                    var generator = SystemRandomNumberGenerator()
                    return generator.next()
                }
                unused = words
                return unused.removeLast()
            }
        }
    }

    private let supply = Supply()

    package init() {}

    package func next() -> UInt64 { supply.next() }
}

/// A repeatable sequence (SplitMix64) for tests, simulations and benchmarks; print its seed.
package final class SeededRandomness: Randomness {
    private let state: Mutex<UInt64>

    package init(seed: UInt64) { state = Mutex(seed) }

    package func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }
}
