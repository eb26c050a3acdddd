/// The states of a site's partitions by their ids, in the order of the ids.
///
/// Nearly every site has only a few, and a command looks at them dozens of times: comparing ids costs less than hashing
/// them, and a state is read and changed in its place.
package struct PartitionStates: Hashable, Sendable {
    /// Up to here one after the other is faster than halving.
    private static let fewMaximum = 8

    package private(set) var keys: [PartitionID] = []
    package private(set) var values: [PartitionState] = []

    package init(_ states: [PartitionID: PartitionState] = [:]) {
        for (id, state) in states.sorted(by: { $0.key < $1.key }) {
            keys.append(id)
            values.append(state)
        }
    }

    package var count: Int { keys.count }
    package var isEmpty: Bool { keys.isEmpty }

    package subscript(_ id: PartitionID) -> PartitionState? {
        get { index(of: id).map { values[$0] } }
        _modify {
            var state: PartitionState?
            let index = index(of: id)
            // Taken out meanwhile, so that what is changed in it is not copied first.
            if let index {
                state = values[index]
                values[index] = PartitionState(since: Instant(millisecondsSinceEpoch: 0))
            }
            defer { put(state, for: id, at: index) }
            yield &state
        }
    }

    /// The state of a partition, or that of one which has none yet.
    package subscript(_ id: PartitionID, default initial: @autoclosure () -> PartitionState) -> PartitionState {
        get { index(of: id).map { values[$0] } ?? initial() }
        _modify {
            let index = index(of: id) ?? insert(initial(), for: id)
            yield &values[index]
        }
    }

    package func filter(_ isKept: ((key: PartitionID, value: PartitionState)) -> Bool) -> PartitionStates {
        var kept = PartitionStates()
        for element in self where isKept(element) {
            kept.keys.append(element.key)
            kept.values.append(element.value)
        }
        return kept
    }

    private mutating func put(_ state: PartitionState?, for id: PartitionID, at index: Int?) {
        switch (index, state) {
        case (let index?, let state?): values[index] = state
        case (let index?, nil):
            keys.remove(at: index)
            values.remove(at: index)
        case (nil, let state?): _ = insert(state, for: id)
        case (nil, nil): break
        }
    }

    private mutating func insert(_ state: PartitionState, for id: PartitionID) -> Int {
        let index = keys.firstIndex { id < $0 } ?? keys.endIndex
        keys.insert(id, at: index)
        values.insert(state, at: index)
        return index
    }

    private func index(of id: PartitionID) -> Int? {
        if keys.count <= Self.fewMaximum { return keys.firstIndex(of: id) }
        var range = keys.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if keys[middle] == id { return middle }
            range = keys[middle] < id ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }
}

extension PartitionStates: Sequence {
    package func makeIterator() -> AnyIterator<(key: PartitionID, value: PartitionState)> {
        var rest = zip(keys, values).makeIterator()
        return AnyIterator { rest.next().map { (key: $0.0, value: $0.1) } }
    }
}
