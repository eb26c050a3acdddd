/// Deliveries by the time at which they are due, the earliest last, so that it is taken cheaply.
struct DueList: Sendable {
    private(set) var items: [EndpointConsumer.Held] = []

    var count: Int { items.count }
    /// When the earliest is due.
    var due: Instant? { items.last?.due }

    /// When the latest is due.
    var lastDue: Instant? { items.first?.due }

    func isDue(at now: Instant) -> Bool { due.map { $0 <= now } ?? false }

    func dueCount(at now: Instant) -> Int { items.count - firstIndex(notLaterThan: now) }

    mutating func insert(_ held: EndpointConsumer.Held) {
        // Among equals the first in comes last in the array, and so goes out first.
        items.insert(held, at: firstIndex(notLaterThan: held.due))
    }

    private func firstIndex(notLaterThan due: Instant) -> Int {
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].due > due { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func popEarliest() -> EndpointConsumer.Held? { items.popLast() }

    /// Gives up the one that is due last.
    mutating func evict() -> EndpointConsumer.Held? { items.isEmpty ? nil : items.removeFirst() }

    /// Takes out what is meant, the latest due first.
    mutating func removeAll(where isMeant: (EndpointConsumer.Held) -> Bool) -> [EndpointConsumer.Held] {
        let removed = items.filter(isMeant)
        if !removed.isEmpty { items.removeAll(where: isMeant) }
        return removed
    }

    mutating func remove(_ position: EventPosition) -> EndpointConsumer.Held? {
        items.firstIndex { $0.event.position == position }.map { items.remove(at: $0) }
    }
}
