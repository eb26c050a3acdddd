/// Decides what happens next at one endpoint: what to send, when to try again, what to record.
///
/// A sans-I/O machine: a shell tells it what happened and does what the returned actions say. The log is its queue. Of
/// each dealer's log it keeps a cursor, and events that it has taken but not finished; a delivery that leaves the happy
/// path becomes a row of the retry table, and the cursor passes on. So after a crash the cursor and the rows are enough
/// to go on, and what is sent twice is at most what lay open in front of the cursor.
///
/// An event that was taken is, until it is behind the cursor, in exactly one place: `fresh`, a site's line, or in
/// flight. A row that is held is in `retries`, in a site's line, or in flight; all others are in the ledger only.
package struct EndpointConsumer: Sendable {
    /// What bounds the memory of one endpoint; tests make it small.
    package struct Limits: Hashable, Sendable {
        /// Events waiting for their first attempt; beyond it the machine takes no more and reads the log again later.
        package var buffer = 256
        /// Taken events in front of the cursor: bounds what has to be looked up after a crash while one slow attempt holds it.
        package var window = 2048
        /// Rows held in memory; the ledger has the rest.
        package var rows = 128
        /// Rows held where order is asked for: there the machine must know every row, so at this many it takes no events.
        package var orderedRows = 1024
        /// Events held while the breaker is open: enough to probe with; the log has the rest.
        package var whileOpen = 16
        /// Alarms taken ahead of a backlog that wait for their first attempt; further ones wait in the log until they are found.
        package var express = 64
        /// Alarms taken ahead that the log's reading has yet to come to: some twenty bytes each.
        package var ahead = 4096

        package init() {}

        package init(buffer: Int, window: Int, rows: Int, orderedRows: Int) {
            self.buffer = buffer
            self.window = window
            self.rows = rows
            self.orderedRows = orderedRows
        }
    }

    /// The numbers that its decisions turn on; simulations change them to see that it is noticed.
    package struct Rules: Hashable, Sendable {
        /// After so many first attempts a due retry goes first, so that a steady stream does not starve retries.
        package var startsPerRetry = 8
        package var failuresToOpen = CircuitBreaker.failuresToOpen
        /// An event that the receiver answered so often, but never with 2xx, lets its site go on (design, delivery: order).
        package var answersToPark = 5
        /// One in so many of the endpoint's attempts in flight is kept for alarms, where it has that many.
        package var concurrencyPerReserved = 8

        package init() {}
    }

    /// A cursor that has moved this far over events that are not for the endpoint is worth recording on its own.
    package static let cursorLagMaximum: Int64 = 1000
    /// How long to leave the ledger alone after it could not be read.
    static let pauseAfterTrouble: Duration = .seconds(1)

    /// What an admin, or the owner's scopes, say about the endpoint.
    package struct Settings: Hashable, Sendable {
        package var subscription: Subscription
        package var isEnabled: Bool
        package var ordering: DeliveryOrdering
        package var concurrency: Int
        package var ratePerSecond: Int?
        package var schedule: RetrySchedule
        /// A task is putting rows of older events in the way, and order is asked for: newer ones stay in the log.
        package var holdsFresh = false

        package init(
            subscription: Subscription,
            isEnabled: Bool = true,
            ordering: DeliveryOrdering = .none,
            concurrency: Int = Endpoint.defaultConcurrency,
            ratePerSecond: Int? = nil,
            schedule: RetrySchedule = RetrySchedule()
        ) {
            self.subscription = subscription
            self.isEnabled = isEnabled
            self.ordering = ordering
            self.concurrency = concurrency
            self.ratePerSecond = ratePerSecond
            self.schedule = schedule
        }
    }

    /// What the shell has to do.
    package enum Action: Sendable {
        /// Make an attempt, and tell ``finished(_:_:at:jitter:)`` how it ended.
        case send(Attempt)
        /// Record the row, in this order with others, and not after the cursors that are taken later.
        case save(ExceptionalDelivery)
        /// Record since when the endpoint fails.
        case stand(failingSince: Instant?)
        /// Append the event, and disable the endpoint if it says so, in one transaction.
        case announce(EndpointAnnouncement)
        /// Read the log, and answer with ``read(_:events:rows:at:)``.
        case readLog(LogRead)
        /// When it is this endpoint's turn, ask ``nextSearch()``, and answer with ``sought(_:events:searchedTo:rows:at:)``.
        case seekAlarms
        /// When all rows put out so far are recorded, read the earliest due ones, and answer with ``loaded(_:isComplete:at:)``.
        case loadRows(limit: Int)
        /// The cursors have moved far without anything else to record.
        case saveCursors
        /// A delivery has come to its end; for observers.
        case settled(LoggedEvent, DeliveryState, attempts: Int)
        /// The breaker opened or closed; for metrics and the API.
        case breaker(CircuitBreaker)
    }

    package struct Attempt: Sendable {
        /// Names the attempt while it is in flight.
        package var flight: Int
        package var event: LoggedEvent
        /// 1 for the first.
        package var number: Int
        /// With order: the event before it at its site that was parked, and so may come after it.
        package var parked: EventID?
    }

    package struct LogRead: Hashable, Sendable {
        package var dealerID: DealerID
        package var after: Int64
        package var limit: Int
        /// How far the log was known to reach when this was asked for.
        package var tail: Int64
        /// A crash may have left rows and recorded successes of these events: the answer must say which of them have one.
        package var asksForRows: Bool
    }

    /// A delivery that the machine holds.
    struct Held: Sendable {
        var event: LoggedEvent
        var attempts: Int
        /// Attempts that the receiver answered, while it was not down.
        var answers = 0
        var hasRow: Bool
        var due: Instant
        /// The task that it goes with: cancelled, it takes it along.
        var task: TaskMark?
        /// With order: its site goes on without it.
        var isParked = false
        /// It was taken ahead of a backlog.
        var isExpress = false
    }

    package internal(set) var settings: Settings
    let limits: Limits
    let rules: Rules
    /// It waits for ``begin(_:at:)``: somebody shares out attempts among endpoints.
    let isGranted: Bool
    package private(set) var breaker: CircuitBreaker
    var bucket: RateBucket?
    /// Nothing new is begun and no cursor put out; what is in flight ends.
    package internal(set) var isRetired = false

    var watch: FailureWatch
    var lanes: [LogLane] = []
    var laneOfDealer: [DealerID: Int] = [:]
    var movedLanes: [Int] = []
    var hasAskedToSaveCursors = false

    /// What waits for its first attempt, and rows that a line brought to their turn.
    var fresh = PerClass(Queue<Held>())
    /// Taken events without a row that are not in flight; those taken ahead are counted by themselves.
    var unattempted = 0
    var unattemptedAhead = 0
    var startsSinceRetry = PerClass(0)
    var retries = PerClass(DueList())
    /// Rows in sites' lines.
    var rowsInLines = 0
    var lines: [SiteID: Line] = [:]
    /// With order: parked rows of which the next event of their site has to tell, in the log's order.
    var parkedBefore: [SiteID: [(id: EventID, position: EventPosition)]] = [:]
    var flights: [Held?] = []
    var freeFlights: [Int] = []

    /// When the earliest row that may be in the ledger only is due.
    var rowsBeyond: Instant?
    var loading: Loading?
    var isReading = false
    var lanesBehind = Queue<Int>()
    var listedAsBehind: Set<Int> = []
    var hasAskedToSeek = false
    var isSeeking = false
    var lanesUnsought = Queue<Int>()
    var listedAsUnsought: Set<Int> = []
    var troubleUntil: Instant?
    /// The last tasks that were cancelled: none of their rows is sent any more.
    var cancelledTasks: [DeliveryTaskID] = []

    var actions: [Action] = []

    /// What happens to rows while some are being loaded: what the load brings of them is out of date.
    struct Loading: Sendable {
        var touched: Set<EventPosition> = []
        var evictedDue: Instant?
    }

    /// Takes up an endpoint where the ledger says it is.
    ///
    /// - Parameters:
    ///   - settings: What the endpoint and its owner say.
    ///   - failingSince: Since when nothing but failures were seen.
    ///   - lanes: Per dealer the cursor, and how far the log reaches.
    ///   - nextDue: When the earliest row of the retry table is due.
    ///   - limits: What bounds the memory.
    ///   - rules: The numbers that decisions turn on.
    ///   - isGranted: It begins attempts only when ``begin(_:at:)`` is called, not by itself.
    package init(
        settings: Settings,
        failingSince: Instant? = nil,
        lanes: [(cursor: EventPosition, tail: Int64)],
        nextDue: Instant? = nil,
        limits: Limits = Limits(),
        rules: Rules = Rules(),
        isGranted: Bool = false
    ) {
        self.settings = settings
        self.limits = limits
        self.rules = rules
        self.isGranted = isGranted
        breaker = CircuitBreaker(isCautious: failingSince != nil, failuresToOpen: rules.failuresToOpen)
        bucket = settings.ratePerSecond.map { RateBucket(perSecond: $0) }
        watch = FailureWatch(failingSince: failingSince)
        rowsBeyond = nextDue
        for lane in lanes { addLane(lane.cursor, tail: lane.tail) }
    }

    package var inFlight: Int { flights.count - freeFlights.count }
    /// Nothing is in flight and no answer of the ledger is awaited.
    package var isIdle: Bool { inFlight == 0 && !isReading && !isSeeking && loading == nil }
    package var failingSince: Instant? { watch.failingSince }
    /// Deliveries held in memory; for metrics and tests.
    package var heldCount: Int { unattempted + unattemptedAhead + rowsHeld }
    var rowsHeld: Int { retries.alarm.count + retries.ordinary.count + rowsInLines }
    var isActive: Bool { settings.isEnabled && !isRetired }
    var isOrdered: Bool { settings.ordering == .site }
    var rowsLimit: Int { isOrdered ? limits.orderedRows : limits.rows }

    package func hasLane(of dealer: DealerID) -> Bool { laneOfDealer[dealer] != nil }

    /// When something is to be done without anything else happening; tell ``wake(at:)`` then.
    package func nextWake(after now: Instant) -> Instant? {
        guard isActive else { return nil }
        var earliest: Instant?
        func consider(_ instant: Instant?) {
            if let instant, instant > now { earliest = earliest.map { min($0, instant) } ?? instant }
        }
        for deliveryClass in DeliveryClass.allCases { consider(retries[deliveryClass].due) }
        consider(breaker.pausesUntil)
        if let bucket, !bucket.allows(at: now), isAnythingReady(at: now) { consider(bucket.next(after: now)) }
        if loading == nil { consider(rowsBeyond) }
        consider(watch.nextAnnouncement)
        consider(troubleUntil)
        return earliest
    }

    // MARK: - What the shell tells

    /// Begins, or goes on at a time that ``nextWake(after:)`` gave.
    package mutating func wake(at now: Instant) -> [Action] {
        if isActive, let stage = watch.dueStage(now: now, afterFailure: false) { announce(stage) }
        return goOn(now)
    }

    /// Takes events that were just committed, of one dealer, in the log's order.
    ///
    /// What comes out of order or finds no room is not lost: it is read from the log later.
    package mutating func append(_ events: ArraySlice<LoggedEvent>, at now: Instant) -> [Action] {
        guard let first = events.first, let lane = laneOfDealer[first.dealerID] else { return [] }
        for event in events where event.sequence > lanes[lane].seenTo {
            lanes[lane].tail = max(lanes[lane].tail, event.sequence)
            if event.sequence == lanes[lane].seenTo + 1, look(at: event, in: lane, now) { continue }
            takeCommittedAhead(event, in: lane, now)
        }
        listIfBehind(lane)
        return goOn(now)
    }

    /// Learns that a dealer's log reaches further than what was appended.
    package mutating func logReaches(_ position: EventPosition, at now: Instant) -> [Action] {
        guard let lane = laneOfDealer[position.dealerID] else { return [] }
        lanes[lane].tail = max(lanes[lane].tail, position.sequence)
        listIfBehind(lane)
        return goOn(now)
    }

    /// Starts to follow another dealer's log after the given place.
    package mutating func follow(_ cursor: EventPosition, tail: Int64, at now: Instant) -> [Action] {
        if laneOfDealer[cursor.dealerID] == nil { addLane(cursor, tail: tail) }
        return goOn(now)
    }

    /// Takes over changed settings; order, and enabling again, need a machine made anew from the ledger.
    ///
    /// Whoever changes an endpoint that is down may have mended it: it is probed at once.
    package mutating func reconfigure(_ settings: Settings, at now: Instant) -> [Action] {
        if settings.ratePerSecond != self.settings.ratePerSecond {
            bucket = settings.ratePerSecond.map { RateBucket(perSecond: $0) }
        }
        let seeksOthers = settings.subscription.alarmTypes != self.settings.subscription.alarmTypes
        self.settings = settings
        if seeksOthers { seekAnew() }
        breaker.probe(at: now)
        return goOn(now)
    }

    /// Stops for good: a machine made anew from the ledger takes over when this one is idle.
    package mutating func retire() { isRetired = true }

    /// The cursors that have moved since they were last taken.
    package mutating func takeCursors() -> [EndpointCursor] {
        hasAskedToSaveCursors = false
        guard !isRetired else { return [] }
        var cursors: [EndpointCursor] = []
        for index in movedLanes {
            lanes[index].isListedAsMoved = false
            let cursor = lanes[index].cursor
            guard cursor > lanes[index].savedCursor else { continue }
            lanes[index].savedCursor = cursor
            let position = EventPosition(dealerID: lanes[index].dealerID, sequence: cursor)
            cursors.append(EndpointCursor(endpointID: settings.subscription.endpointID, position: position))
        }
        movedLanes.removeAll(keepingCapacity: true)
        return cursors
    }

    // MARK: - Going on

    /// Begins what can be begun, asks for what is missing, and hands over all actions.
    mutating func goOn(_ now: Instant) -> [Action] {
        if isActive {
            if let until = troubleUntil, until <= now { troubleUntil = nil }
            if !isGranted {
                while let next = demand(at: now) { start(next, now) }
            }
            loadIfNeeded(now)
            readIfNeeded()
            seekIfNeeded()
        }
        defer { actions = [] }
        return actions
    }

    /// Lets the breaker note something, and tells when that opened or closed it, or began another pause.
    mutating func note(_ change: (inout CircuitBreaker) -> Void) {
        let before = breaker
        change(&breaker)
        if before.isClosed != breaker.isClosed || before.isRecovering != breaker.isRecovering
            || before.pausesUntil != breaker.pausesUntil
        {
            actions.append(.breaker(breaker))
        }
    }

    mutating func announce(_ stage: FailureWatch.Stage) {
        guard let since = watch.failingSince else { return }
        announce(.failing(stage, since: since))
    }

    mutating func announce(_ reason: EndpointAnnouncement.Reason) {
        let announcement = EndpointAnnouncement(endpointID: settings.subscription.endpointID, reason: reason)
        if announcement.disables { settings.isEnabled = false }
        actions.append(.announce(announcement))
    }
}
