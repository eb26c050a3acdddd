import TocsinCore

/// A mistake put into the delivery scheduler on purpose: it distorts one rule's number, or what goes in or comes out.
///
/// The simulation must find every one; the scheduler itself holds no switch for any of them.
package struct DeliveryFault: Sendable, CustomStringConvertible {
    package let name: String
    package var description: String { name }

    var rules: @Sendable (inout EndpointConsumer.Rules) -> Void = { _ in }
    var limits: @Sendable (inout EndpointConsumer.Limits) -> Void = { _ in }
    var shares: @Sendable (inout DeliveryShares.Limits) -> Void = { _ in }
    var settings: @Sendable (inout EndpointConsumer.Settings) -> Void = { _ in }
    /// Changes after the endpoint was made do not reach the machine.
    var isDeaf = false
    /// A restart does not hear of rows.
    var forgetsRows = false
    var event: @Sendable (LoggedEvent) -> LoggedEvent = { $0 }
    var attempt: @Sendable (inout EndpointConsumer.Attempt) -> Void = { _ in }
    var result: @Sendable (AttemptResult) -> AttemptResult = { $0 }
    var row: @Sendable (ExceptionalDelivery) -> ExceptionalDelivery? = { $0 }
    /// What a search for alarms finds.
    var found: @Sendable ([LoggedEvent]) -> [LoggedEvent] = { $0 }
    /// A search does not say of which events there are rows.
    var seeksWithoutRows = false
    var cursorIsAheadBy: Int64 = 0

    init(_ name: String, _ change: (inout DeliveryFault) -> Void) {
        self.name = name
        change(&self)
    }

    /// What the scheduler is without any.
    static let none = DeliveryFault("none") { _ in }

    package static let all = [
        DeliveryFault("a failed attempt leaves no row") { $0.row = { $0.state == .retrying ? nil : $0 } },
        DeliveryFault("what waits behind a failed one leaves no row") { $0.row = { $0.state == .waiting ? nil : $0 } },
        DeliveryFault("the cursor runs ahead") { $0.cursorIsAheadBy = 1 },
        DeliveryFault("a retry has an id of its own") {
            $0.attempt = {
                guard $0.number > 1 else { return }
                $0.event = LoggedEvent($0.event, id: EventID(stored: "evt_other"))
            }
        },
        DeliveryFault("a restart forgets retries") { $0.forgetsRows = true },
        DeliveryFault("order is forgotten") { $0.settings = { $0.ordering = .none } },
        DeliveryFault("the rate is not kept") { $0.settings = { $0.ratePerSecond = nil } },
        DeliveryFault("one too many in flight") { $0.settings = { $0.concurrency += 1 } },
        DeliveryFault("nothing opens the breaker") { $0.rules = { $0.failuresToOpen = .max } },
        DeliveryFault("the breaker opens late") { $0.rules = { $0.failuresToOpen += 1 } },
        DeliveryFault("429 counts as an answer") {
            $0.result = { $0.status == 429 ? AttemptResult(status: 404) : $0 }
        },
        DeliveryFault("parked too early") { $0.rules = { $0.answersToPark -= 1 } },
        DeliveryFault("an endpoint that is down parks") {
            $0.result = { $0.status == nil ? AttemptResult(status: 400) : $0 }
        },
        DeliveryFault("nobody is told of what was parked") { $0.attempt = { $0.parked = nil } },
        DeliveryFault("alarms wait like all others") {
            $0.event = {
                LoggedEvent($0, type: .partitionArmed)
            }
        },
        DeliveryFault("nobody looks for alarms in a backlog") { $0.found = { _ in [] } },
        DeliveryFault("what was delivered is found once more") { $0.seeksWithoutRows = true },
        DeliveryFault("alarms have no reserve") { $0.shares = { $0.alarmReserve = 0 } },
        DeliveryFault("an endpoint takes what it gets") { $0.shares = { $0.endpointPart = 1 } },
        DeliveryFault("there is no bound for all") { $0.shares = { $0.total *= 2 } },
        DeliveryFault("the buffer has no bound") { $0.limits = { ($0.buffer, $0.window) = (1000, 1000) } },
        DeliveryFault("a tightened subscription is not heard of") { $0.isDeaf = true },
    ]
}

extension LoggedEvent {
    /// The same event, but for this.
    fileprivate init(_ event: LoggedEvent, id: EventID? = nil, type: EventType? = nil) {
        self.init(
            dealerID: event.dealerID,
            sequence: event.sequence,
            id: id ?? event.id,
            type: type ?? event.type,
            siteID: event.siteID,
            partnerID: event.partnerID,
            audience: event.audience,
            createdAt: event.createdAt,
            body: event.body
        )
    }
}
