import TocsinCore

package struct DeliveryTaskFilter: Sendable {
    package var endpointID: EndpointID?
    /// Only tasks of this app's endpoints.
    package var appID: AppID?
    package var state: DeliveryTask.State?

    package init(endpointID: EndpointID? = nil, appID: AppID? = nil, state: DeliveryTask.State? = nil) {
        self.endpointID = endpointID
        self.appID = appID
        self.state = state
    }
}

package protocol DeliveryTaskReader {
    /// Newest first. A dealer's reach covers those of its apps' endpoints, a partner's those of its own.
    func deliveryTasks(
        within reach: Reach,
        filter: DeliveryTaskFilter,
        page: PageRequest
    ) throws -> Page<DeliveryTask>
    func deliveryTask(_ id: DeliveryTaskID, within reach: Reach) throws -> DeliveryTask?
    func runningTask(of endpoint: EndpointID) throws -> DeliveryTask?
    /// How many tasks run at the endpoints of a dealer's apps, or of a partner.
    func runningTaskCount(beside owner: EndpointOwner) throws -> Int
    func runningTasks() throws -> [DeliveryTaskID]
    /// Cancelled tasks of which a delivery is pending that must not be: the record of an attempt that was in flight has
    /// come after the cancellation.
    func cancelledTasksWithRows() throws -> [DeliveryTask]
    /// What has become so far of the deliveries that the task has put in the way.
    func counts(of task: DeliveryTaskID) throws -> DeliveryTask.Counts
    /// How many of them were not tried yet.
    func waitingCount(of task: DeliveryTaskID) throws -> Int
    /// Deliveries of a part of the log whose last attempt has failed within a span of time, in the log's order.
    func failedDeliveries(
        to endpoint: EndpointID,
        in lane: DeliveryTask.Lane,
        from since: Instant,
        through until: Instant,
        limit: Int
    ) throws -> [ExceptionalDelivery]
}

package protocol DeliveryTaskWriter {
    func insert(_ task: DeliveryTask) throws
    /// Stores how far the task has come, and its end.
    func update(_ task: DeliveryTask) throws
    /// Puts deliveries of these events in the way, due now, marked with the task.
    ///
    /// Returns those that were pending already, and are due earlier now.
    func place(_ events: [LoggedEvent], for task: DeliveryTask, at now: Instant) throws -> Set<EventPosition>
    /// Leaves the endpoint's pending deliveries without a time, so that nobody tries them: of one log those beyond a place,
    /// or all.
    func setAsidePending(of endpoint: EndpointID, beyond place: EventPosition?) throws
    /// Makes due what was set aside: of one log up to a place, or all.
    func bringBackPending(of endpoint: EndpointID, through place: EventPosition?, at now: Instant) throws
    /// Ends what the task has put in the way and nobody has delivered yet: it is again what it was before.
    ///
    /// Returns how many.
    func giveUpRows(of task: DeliveryTaskID, at now: Instant) throws -> Int
}

extension LedgerReader {
    /// The last event committed before an instant, by bisection; what is no longer kept counts as before.
    package func lastSequence(of dealer: DealerID, before instant: Instant) throws -> Int64 {
        var (low, high) = (Int64(0), try lastSequence(of: dealer))
        while low < high {
            let middle = (low + high + 1) / 2
            let event = try event(at: EventPosition(dealerID: dealer, sequence: middle))
            if event.map({ $0.createdAt < instant }) ?? true { low = middle } else { high = middle - 1 }
        }
        return low
    }
}

extension LedgerTransaction {
    /// Stores a changed endpoint.
    ///
    /// A task that runs there, and was begun without order, begins anew where order is asked for now: what waits for a retry
    /// is set aside first, so that it has its turn where the task comes by.
    package func change(_ endpoint: Endpoint) throws {
        let before = try self.endpoint(endpoint.id, within: .platform)
        try update(endpoint)
        guard endpoint.ordering == .site, before?.ordering != .site, var task = try runningTask(of: endpoint.id),
            task.phase == .placing
        else { return }
        task.phase = .starting
        try update(task)
    }

    /// Cancels a running task: what it has put in the way and was not delivered is what it was before.
    ///
    /// What is in flight ends, and is not tried again.
    package func cancel(_ task: DeliveryTask, at now: Instant) throws -> DeliveryTask {
        try end(task, .cancelled, at: now)
    }

    /// Ends a task that can go on no more, with the reason as a code.
    package func fail(_ task: DeliveryTask, reason: String, at now: Instant) throws -> DeliveryTask {
        try end(task, .failed, reason: reason, at: now)
    }

    private func end(
        _ task: DeliveryTask,
        _ state: DeliveryTask.State,
        reason: String? = nil,
        at now: Instant
    ) throws -> DeliveryTask {
        var task = task
        let before = try counts(of: task.id)
        let givenUp = try giveUpRows(of: task.id, at: now)
        try bringBackPending(of: task.endpointID, through: nil, at: now)
        var counts = try counts(of: task.id)
        counts.delivered = before.delivered
        counts.dead = before.dead
        counts.withdrawn = before.withdrawn + Int64(givenUp)
        task.end(state, reason: reason, counts: counts, at: now)
        try update(task)
        return task
    }
}
