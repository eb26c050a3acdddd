import TocsinCore

/// Names one event in one dealer's log.
package struct EventPosition: Hashable, Comparable, Sendable {
    package var dealerID: DealerID
    package var sequence: Int64

    package init(dealerID: DealerID, sequence: Int64) {
        self.dealerID = dealerID
        self.sequence = sequence
    }

    package static func < (a: Self, b: Self) -> Bool { (a.dealerID, a.sequence) < (b.dealerID, b.sequence) }
}

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

/// One attempt of a delivery, as the attempts log keeps it for 30 days (design, delivery: log).
package struct DeliveryAttempt: Hashable, Sendable {
    package var endpointID: EndpointID
    package var position: EventPosition
    package var eventID: EventID
    /// 1 for the first.
    package var number: Int
    package var at: Instant
    /// 2xx within the deadline.
    package var succeeded: Bool
    package var status: Int?
    /// Why there was no usable answer, as a code (`connect`, `timeout`, …) and a sentence.
    package var failure: String?
    package var failureMessage: String?
    /// The address that was connected to, `ip:port`.
    package var address: String?
    /// Microseconds; a stage that did not happen is absent.
    package var dnsMicroseconds: Int?
    package var connectMicroseconds: Int?
    package var tlsMicroseconds: Int?
    package var firstByteMicroseconds: Int?
    package var totalMicroseconds: Int
    /// Request headers without secrets, one `name: value` a line.
    package var requestHeaders: String
    /// The first 4 KiB of the response's body.
    package var responseBody: [UInt8]

    package init(
        endpointID: EndpointID,
        position: EventPosition,
        eventID: EventID,
        number: Int,
        at: Instant,
        succeeded: Bool,
        status: Int?,
        failure: String?,
        failureMessage: String?,
        address: String?,
        dnsMicroseconds: Int?,
        connectMicroseconds: Int?,
        tlsMicroseconds: Int?,
        firstByteMicroseconds: Int?,
        totalMicroseconds: Int,
        requestHeaders: String,
        responseBody: [UInt8]
    ) {
        self.endpointID = endpointID
        self.position = position
        self.eventID = eventID
        self.number = number
        self.at = at
        self.succeeded = succeeded
        self.status = status
        self.failure = failure
        self.failureMessage = failureMessage
        self.address = address
        self.dnsMicroseconds = dnsMicroseconds
        self.connectMicroseconds = connectMicroseconds
        self.tlsMicroseconds = tlsMicroseconds
        self.firstByteMicroseconds = firstByteMicroseconds
        self.totalMicroseconds = totalMicroseconds
        self.requestHeaders = requestHeaders
        self.responseBody = responseBody
    }
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

/// A change of an endpoint's standing that its deliveries caused.
package struct EndpointStanding: Hashable, Sendable {
    package var endpointID: EndpointID
    package var isEnabled: Bool
    package var disabledReason: String?
    package var failingSince: Instant?

    package init(endpointID: EndpointID, isEnabled: Bool, disabledReason: String?, failingSince: Instant?) {
        self.endpointID = endpointID
        self.isEnabled = isEnabled
        self.disabledReason = disabledReason
        self.failingSince = failingSince
    }
}

/// What the delivery engine records together.
package struct DeliveryBatch: Sendable {
    package var attempts: [DeliveryAttempt]
    /// Inserted, or replaced by endpoint and position.
    package var exceptions: [ExceptionalDelivery]
    /// A cursor never moves back; a smaller one is ignored.
    package var cursors: [EndpointCursor]
    package var standings: [EndpointStanding]

    package init(
        attempts: [DeliveryAttempt] = [],
        exceptions: [ExceptionalDelivery] = [],
        cursors: [EndpointCursor] = [],
        standings: [EndpointStanding] = []
    ) {
        self.attempts = attempts
        self.exceptions = exceptions
        self.cursors = cursors
        self.standings = standings
    }

    package var isEmpty: Bool { attempts.isEmpty && exceptions.isEmpty && cursors.isEmpty && standings.isEmpty }
}

/// One line of `GET /v1/deliveries`: an exceptional delivery, or one whose first attempt succeeded.
package struct DeliverySummary: Hashable, Sendable {
    package var endpointID: EndpointID
    package var position: EventPosition
    package var eventID: EventID
    package var eventType: EventType
    package var state: DeliveryState
    package var attempts: Int
    package var nextAttemptAt: Instant?
    package var updatedAt: Instant

    package init(
        endpointID: EndpointID,
        position: EventPosition,
        eventID: EventID,
        eventType: EventType,
        state: DeliveryState,
        attempts: Int,
        nextAttemptAt: Instant?,
        updatedAt: Instant
    ) {
        self.endpointID = endpointID
        self.position = position
        self.eventID = eventID
        self.eventType = eventType
        self.state = state
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.updatedAt = updatedAt
    }

    package var id: DeliveryID { DeliveryID(of: eventID, to: endpointID) }
}
