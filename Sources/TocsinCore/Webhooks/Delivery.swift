/// What became of a delivery, where it is not simply the one first attempt that succeeded.
package enum DeliveryState: String, CaseIterable, Sendable {
    /// An attempt failed and another is due.
    case retrying
    /// Behind a failed one of the same site, at an endpoint that asks for order; or put in the way by a task, and not tried.
    case waiting
    /// The receiver refused it again and again; it is still tried, and its site goes on without it.
    case parked
    /// 2xx.
    case delivered
    /// All attempts are used up, or the endpoint said that it is gone.
    case dead
    /// Subscription or scope no longer allow it; neither sent nor lost.
    case withdrawn

    /// Whether another attempt is to come.
    package var isPending: Bool {
        switch self {
        case .retrying, .waiting, .parked: true
        case .delivered, .dead, .withdrawn: false
        }
    }
}

/// Names the task that has put a delivery in the way, and what the delivery was before.
package struct TaskMark: Hashable, Sendable {
    package var id: DeliveryTaskID
    /// None where there was no such delivery.
    package var prior: DeliveryState?

    package init(id: DeliveryTaskID, prior: DeliveryState?) {
        self.id = id
        self.prior = prior
    }

    /// What the delivery is again if the task is cancelled first; none for one that was on its way without the task.
    package var whenCancelled: DeliveryState? {
        guard let prior else { return .withdrawn }
        return prior.isPending ? nil : prior
    }
}

/// A delivery that left the happy path: a row of the retry table.
package struct ExceptionalDelivery: Hashable, Sendable {
    package var endpointID: EndpointID
    package var position: EventPosition
    package var eventID: EventID
    package var state: DeliveryState
    /// Attempts made so far.
    package var attempts: Int
    /// Those of them that the receiver answered while it was not down; with order a poison event is told by them.
    package var answers: Int
    /// When the next attempt is due, while one is to come.
    package var nextAttemptAt: Instant?
    /// When the event was committed: the schedule ends 24 h after it.
    package var eventCreatedAt: Instant
    package var updatedAt: Instant
    /// The last task that has put it in the way.
    package var task: TaskMark?

    package init(
        endpointID: EndpointID,
        position: EventPosition,
        eventID: EventID,
        state: DeliveryState,
        attempts: Int,
        answers: Int = 0,
        nextAttemptAt: Instant?,
        eventCreatedAt: Instant,
        updatedAt: Instant,
        task: TaskMark? = nil
    ) {
        self.endpointID = endpointID
        self.position = position
        self.eventID = eventID
        self.state = state
        self.attempts = attempts
        self.answers = answers
        self.nextAttemptAt = nextAttemptAt
        self.eventCreatedAt = eventCreatedAt
        self.updatedAt = updatedAt
        self.task = task
    }

    package var id: DeliveryID { DeliveryID(of: eventID, to: endpointID) }
}

/// How far an endpoint has come in a dealer's log: all up to `sequence` is delivered, passed on, or not for it.
package struct EndpointCursor: Hashable, Sendable {
    package var endpointID: EndpointID
    package var position: EventPosition

    package init(endpointID: EndpointID, position: EventPosition) {
        self.endpointID = endpointID
        self.position = position
    }
}

/// Since when an endpoint has seen nothing but failures; whether it is enabled is changed in a transaction of its own.
package struct EndpointStanding: Hashable, Sendable {
    package var endpointID: EndpointID
    package var failingSince: Instant?

    package init(endpointID: EndpointID, failingSince: Instant?) {
        self.endpointID = endpointID
        self.failingSince = failingSince
    }
}
