import TocsinCore
import TocsinEngine
import TocsinLedger

/// A running task with what decides its next step.
struct TaskView: Sendable {
    let task: DeliveryTask
    /// None where it was deleted.
    let endpoint: Endpoint?
    private let subscription: Subscription?
    /// Its deliveries that were not tried yet.
    let waiting: Int

    /// Reads a task; none if it does not run any more.
    init?(_ id: DeliveryTaskID, _ reader: any LedgerReader) throws {
        guard let task = try reader.deliveryTask(id, within: .platform), task.state == .running else { return nil }
        self.task = task
        endpoint = try reader.endpoint(task.endpointID, within: .platform)
        subscription = try endpoint.map { try Subscription(of: $0, reader) }
        waiting = try reader.waitingCount(of: id)
    }

    /// The next events that the task matches, and up to where the log was searched for them.
    struct Portion: Sendable {
        var events: [LoggedEvent]
        /// None where the whole log was searched.
        var place: EventPosition?
    }

    /// Finds the next portion; few where a sparse filter lets little through.
    func portion(atMost most: Int, _ reader: any LedgerReader) throws -> Portion {
        guard let lane = task.lanes.first(where: { $0.remaining > 0 }), let subscription else {
            return Portion(events: [])
        }
        let (events, searchedTo) =
            switch task.kind {
            case .replay: try logged(lane, subscription, most, reader)
            case .resendFailed: try failed(lane, most, reader)
            }
        let matched = events.filter { $0.sequence <= lane.end && task.matches($0, subscription) }
        let place = EventPosition(dealerID: lane.dealerID, sequence: min(searchedTo, lane.end))
        return Portion(events: matched, place: place)
    }

    private func logged(
        _ lane: DeliveryTask.Lane,
        _ subscription: Subscription,
        _ most: Int,
        _ reader: any LedgerReader
    ) throws -> ([LoggedEvent], Int64) {
        var filter = EventFilter(types: subscription.types, siteID: task.siteID)
        if let types = task.types { filter.types?.formIntersection(types) }
        switch task.owner {
        case .app(let app, _): filter.appID = app
        case .partner(let partner): filter.partnerID = partner
        }
        let found = try reader.events(of: lane.dealerID, after: lane.position, filter: filter, limit: most)
        // A search that gets nowhere has nothing before it any more.
        return (found.events, found.searchedTo > lane.position ? found.searchedTo : lane.end)
    }

    private func failed(
        _ lane: DeliveryTask.Lane,
        _ most: Int,
        _ reader: any LedgerReader
    ) throws -> ([LoggedEvent], Int64) {
        let since = task.since ?? Instant(millisecondsSinceEpoch: 0)
        let rows = try reader.failedDeliveries(
            to: task.endpointID,
            in: lane,
            from: since,
            through: task.until,
            limit: most
        )
        let searchedTo = rows.count < most ? lane.end : rows.last?.position.sequence ?? lane.end
        return (try rows.compactMap { try reader.event(at: $0.position) }, searchedTo)
    }
}

extension DeliveryTask {
    /// Moves on over a portion that is being placed.
    mutating func take(_ portion: TaskView.Portion, at now: Instant) {
        matched += Int64(portion.events.count)
        if let place = portion.place, let index = lanes.firstIndex(where: { $0.dealerID == place.dealerID }) {
            lanes[index].position = place.sequence
        }
        if unsearched == 0 { phase = .finishing }
        updatedAt = now
    }
}
