/// What became of a delivery, where it is not simply the one first attempt that succeeded.
package enum DeliveryState: String, CaseIterable, Sendable {
    /// An attempt failed and another is due.
    case retrying
    /// Behind a failed one of the same site, at an endpoint that asks for order.
    case waiting
    /// 2xx.
    case delivered
    /// All attempts are used up, or the endpoint said that it is gone.
    case dead
    /// Subscription or scope no longer allow it; neither sent nor lost.
    case withdrawn
}

/// A delivery that left the happy path: a row of the retry table.
package struct ExceptionalDelivery: Hashable, Sendable {
    package var endpointID: EndpointID
    package var position: EventPosition
    package var eventID: EventID
    package var state: DeliveryState
    /// Attempts made so far.
    package var attempts: Int
    /// When the next attempt is due, while `retrying` or `waiting`.
    package var nextAttemptAt: Instant?
    /// When the event was committed: the schedule ends 24 h after it.
    package var eventCreatedAt: Instant
    package var updatedAt: Instant

    package init(
        endpointID: EndpointID,
        position: EventPosition,
        eventID: EventID,
        state: DeliveryState,
        attempts: Int,
        nextAttemptAt: Instant?,
        eventCreatedAt: Instant,
        updatedAt: Instant
    ) {
        self.endpointID = endpointID
        self.position = position
        self.eventID = eventID
        self.state = state
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.eventCreatedAt = eventCreatedAt
        self.updatedAt = updatedAt
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
