/// A durable piece of work that an admin asked for: sending a part of the log to an endpoint again (decisions §11).
///
/// It puts rows into the retry table, a few at a time, and the endpoint's ordinary way sends them. Its place in the log is
/// moved in the transaction that puts the rows, so that it goes on after a crash without losing or doubling one.
package struct DeliveryTask: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Every event of the range that the endpoint may have.
        case replay
        /// What has failed since an instant, and was not delivered later.
        case resendFailed = "resend_failed"
    }

    package enum State: String, CaseIterable, Sendable {
        case running
        /// Every delivery that it matched was tried; what failed goes on by the endpoint's schedule.
        case done
        case cancelled
        case failed
    }

    /// How far a running task has come.
    package enum Phase: String, CaseIterable, Sendable {
        /// An endpoint that asks for order sends nothing, until what waits for a retry has been set aside.
        case starting
        case placing
        /// All rows are placed, and some were not tried yet.
        case finishing
    }

    /// The part of one dealer's log that it goes through.
    package struct Lane: Hashable, Sendable {
        package var dealerID: DealerID
        /// Every event up to here was looked at.
        package var position: Int64
        /// The last event that it looks at.
        package var end: Int64

        package init(dealerID: DealerID, position: Int64, end: Int64) {
            self.dealerID = dealerID
            self.position = position
            self.end = end
        }

        package var remaining: Int64 { max(0, end - position) }
    }

    /// What became of the deliveries that it matched.
    package struct Counts: Hashable, Sendable {
        package var delivered: Int64 = 0
        /// All attempts are used up.
        package var dead: Int64 = 0
        package var withdrawn: Int64 = 0
        /// An attempt failed, and another is due.
        package var retrying: Int64 = 0
        /// Not tried yet.
        package var waiting: Int64 = 0

        package init(_ states: [DeliveryState: Int64] = [:]) {
            delivered = states[.delivered] ?? 0
            dead = states[.dead] ?? 0
            withdrawn = states[.withdrawn] ?? 0
            // What is parked is being retried; only its site does not wait for it.
            retrying = (states[.retrying] ?? 0) + (states[.parked] ?? 0)
            waiting = states[.waiting] ?? 0
        }

        package var byState: [DeliveryState: Int64] {
            [
                .delivered: delivered, .dead: dead, .withdrawn: withdrawn, .retrying: retrying, .waiting: waiting,
            ]
        }
    }

    package var id: DeliveryTaskID
    package var kind: Kind
    package var endpointID: EndpointID
    package var owner: EndpointOwner
    /// Where the range begins, as it was asked for: an instant, or the start of the log.
    package var since: Instant?
    package var until: Instant
    /// Only events of these types; none stands for all that the endpoint subscribes to.
    package var types: Set<EventType>?
    package var siteID: SiteID?
    /// Deliveries a second, at most.
    package var rate: Int
    package var requestedBy: AuditEntry.Actor
    package var lanes: [Lane]
    /// Entries of its range that the retention had taken when it was made.
    package var missed: Int64
    package var state: State
    package var phase: Phase
    /// Why it failed, as a code.
    package var reason: String?
    /// Events that it has matched so far.
    package var matched: Int64
    /// As they stood when it ended; while it runs, the retry table tells.
    package var counts: Counts
    package var createdAt: Instant
    package var updatedAt: Instant
    package var endedAt: Instant?

    package init(
        id: DeliveryTaskID,
        kind: Kind,
        endpoint: Endpoint,
        since: Instant?,
        until: Instant,
        types: Set<EventType>? = nil,
        siteID: SiteID? = nil,
        rate: Int = TaskPace.defaultRate,
        requestedBy: AuditEntry.Actor,
        lanes: [Lane],
        missed: Int64 = 0,
        createdAt: Instant
    ) {
        self.init(
            id: id,
            kind: kind,
            endpointID: endpoint.id,
            owner: endpoint.owner,
            since: since,
            until: until,
            rate: rate,
            requestedBy: requestedBy,
            createdAt: createdAt
        )
        self.types = types
        self.siteID = siteID
        self.lanes = lanes
        self.missed = missed
        phase = endpoint.ordering == .site ? .starting : .placing
    }

    /// Makes a task as the ledger has it; what is not named here is set afterwards.
    package init(
        id: DeliveryTaskID,
        kind: Kind,
        endpointID: EndpointID,
        owner: EndpointOwner,
        since: Instant?,
        until: Instant,
        rate: Int,
        requestedBy: AuditEntry.Actor,
        createdAt: Instant
    ) {
        self.id = id
        self.kind = kind
        self.endpointID = endpointID
        self.owner = owner
        self.since = since
        self.until = until
        self.rate = rate
        self.requestedBy = requestedBy
        self.createdAt = createdAt
        lanes = []
        missed = 0
        state = .running
        phase = .placing
        matched = 0
        counts = Counts()
        updatedAt = createdAt
    }

    /// Whether an endpoint that asks for order must leave what is newer in the log.
    package var holdsFresh: Bool { state == .running && phase != .finishing }

    /// Events of its range that it has not looked at yet.
    package var unsearched: Int64 { lanes.reduce(0) { $0 + $1.remaining } }

    /// Whether it matches the event, for an endpoint whose subscription is given.
    package func matches(_ event: LoggedEvent, _ subscription: Subscription) -> Bool {
        // A test was for its moment.
        if case .endpoint = event.audience { return false }
        if let types, !types.contains(event.type) { return false }
        if let siteID, event.siteID != siteID { return false }
        return subscription.takes(event)
    }

    /// Comes to its end.
    package mutating func end(_ state: State, reason: String? = nil, counts: Counts, at now: Instant) {
        self.state = state
        self.reason = reason
        self.counts = counts
        updatedAt = now
        endedAt = now
    }
}

/// Decides how many rows a task may put in the way, and when: at its rate, and never far ahead of what is sent.
package struct TaskPace: Sendable {
    /// Deliveries a second where nobody says: an hour of a busy dealer in minutes, next to live traffic.
    package static let defaultRate = 50
    package static let rateMaximum = 1000
    /// Rows that were not tried yet: few enough for an endpoint to hold all of them, whatever order it asks for.
    package static let waitingMaximum = 400
    /// Rows are placed in portions of a fifth of a second, so that a fast task costs few transactions.
    static let portionsPerSecond = 5

    package enum Step: Hashable, Sendable {
        case place(atMost: Int)
        case pause(until: Instant)
        /// Until some of what waits was tried.
        case awaitAttempts
    }

    private let rate: Int
    private var nextAt: Instant?

    package init(rate: Int) { self.rate = min(max(1, rate), Self.rateMaximum) }

    private var portion: Int { max(1, rate / Self.portionsPerSecond) }

    /// Says what to do now, with so many rows that were not tried yet.
    package func step(waiting: Int, at now: Instant) -> Step {
        if let nextAt, nextAt > now { return .pause(until: nextAt) }
        guard Self.waitingMaximum - waiting >= portion else { return .awaitAttempts }
        return .place(atMost: portion)
    }

    /// Learns how many rows were placed.
    package mutating func placed(_ count: Int, at now: Instant) {
        nextAt = now + .milliseconds(count * 1000 / rate)
    }
}
