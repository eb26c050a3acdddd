import Testing

@testable import TocsinCore

struct PartitionStatesTests {
    private func state(_ version: Int) -> PartitionState {
        var state = PartitionState(since: Instant(secondsSinceEpoch: 0))
        state.version = Int64(version)
        return state
    }

    @Test(arguments: [3, 40])
    func `partitions are kept and found as in a dictionary, in the order of their ids`(ids: UInt64) {
        let seed = Seed.announced(for: "partition states")
        var generator = SeededGenerator(seed: seed)
        var states = PartitionStates()
        var expected: [PartitionID: PartitionState] = [:]
        for step in 0..<2_000 {
            let id = PartitionID(stored: "p_\(generator.next() % ids)")
            switch generator.next() % 4 {
            case 0:
                states[id] = state(step)
                expected[id] = state(step)
            case 1:
                states[id] = nil
                expected[id] = nil
            case 2:
                states[id]?.version += 1
                expected[id]?.version += 1
            default:
                states[id, default: state(step)].version += 1
                expected[id, default: state(step)].version += 1
            }
            #expect(states[id] == expected[id], "seed \(seed), step \(step)")
            #expect(states == PartitionStates(expected), "seed \(seed), step \(step)")
            #expect(states.keys == expected.keys.sorted(), "seed \(seed), step \(step)")
        }
        let even = states.filter { $0.value.version % 2 == 0 }
        #expect(even == PartitionStates(expected.filter { $0.value.version % 2 == 0 }))
    }
}
