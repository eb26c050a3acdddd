import TocsinCore

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

    /// The first attempt succeeded: there is nothing else of its delivery.
    package var isPlain: Bool { number == 1 && succeeded }
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
