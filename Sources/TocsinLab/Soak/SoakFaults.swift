import Synchronization
import TocsinCore
import TocsinEngine

/// Decides what a receiver does wrong: single faults, and spells in which an endpoint does the same wrong all the time.
final class SoakFaults: Sendable {
    private struct State {
        var isOn = false
        /// By endpoint: what it does, and until when.
        var spells: [Int: (until: UInt64, kind: Int)] = [:]
        var counts: [Int] = Array(repeating: 0, count: SoakFaults.kinds.count)
    }

    private static let kinds = ["silent", "500", "hung up", "slow"]
    /// Of every webhook; a single fault.
    private static let faultShare = 0.03
    /// Of every webhook; the beginning of a spell.
    private static let spellShare = 0.002
    private static let spellSeconds = 3.0...15.0
    /// Then the endpoint is well for so long: a spell every few hundred webhooks, however fast they come, would let nobody who
    /// has fallen behind catch up before the soak ends.
    private static let wellNanoseconds: UInt64 = 15_000_000_000
    private static let slowMilliseconds = 500.0...4_000.0

    private let randomness: SeededRandomness
    private let state = Mutex(State())

    init(seed: UInt64) { randomness = SeededRandomness(seed: seed) }

    /// From now on receivers do wrong, or no longer.
    func set(on isOn: Bool) {
        state.withLock { state in
            state.isOn = isOn
            state.spells = [:]
        }
    }

    func react(_ webhook: WebhookSink.Webhook) -> WebhookSink.Reaction {
        state.withLock { state in
            guard state.isOn else { return .answer(200) }
            let spell = state.spells[webhook.endpoint]
            if let spell, spell.until > webhook.at { return reaction(spell.kind, &state) }
            let isRested = spell.map { $0.until + Self.wellNanoseconds <= webhook.at } ?? true
            let chance = randomness.fraction()
            let kind = Int(randomness.next() % UInt64(Self.kinds.count))
            if chance < Self.spellShare, isRested {
                let nanoseconds = UInt64(between(Self.spellSeconds) * 1e9)
                state.spells[webhook.endpoint] = (webhook.at + nanoseconds, kind)
                return reaction(kind, &state)
            }
            return chance < Self.faultShare ? reaction(kind, &state) : .answer(200)
        }
    }

    /// How often which fault was met.
    var words: String {
        let counts = state.withLock { $0.counts }
        return zip(Self.kinds, counts).map { "\($0) \(Figures.grouped($1))" }.joined(separator: ", ")
    }

    private func reaction(_ kind: Int, _ state: inout State) -> WebhookSink.Reaction {
        state.counts[kind] += 1
        switch kind {
        case 0: return .silence
        case 1: return .answer(500)
        case 2: return .hangUp
        default: return .late(200, milliseconds: Int64(between(Self.slowMilliseconds)))
        }
    }

    private func between(_ range: ClosedRange<Double>) -> Double {
        range.lowerBound + randomness.fraction() * (range.upperBound - range.lowerBound)
    }
}
