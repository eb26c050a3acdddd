import HeapModule
import Logging
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Everything that the delivery engine knows, owned by its one loop: handles messages, and puts out jobs to run.
struct DeliveryLoop {
    typealias Job = @Sendable () async -> Void

    /// How long to wait before the ledger is asked again that could not answer.
    static let pauseAfterFailure: Duration = .seconds(1)
    /// Endpoints read at once while starting.
    static let pageSize = 500

    /// An endpoint at its place in the loop; a place is never used again.
    final class Slot {
        let index: Int
        var endpoint: Endpoint
        var courier: Courier
        var wakeAt: Instant?
        /// Something may have moved its cursors since the last recording.
        var isTouched = false
        /// A machine made anew takes over when this one is idle.
        var awaitsRebuild = false
        /// An admin enabled it again: old failures do not count any more.
        var startsAfresh = false
        /// It disables itself, and the ledger does not know yet.
        var isDisabling = false
        var heldWhenCounted = 0
        /// Dealers whose log it was found not to follow.
        var askedToFollow: Set<DealerID> = []
        /// Rows came while there was no machine to hear of them.
        var hasMissedRows = false
        var quietWaiters: [WakeSignal] = []
        var certificate: CertificateWatch?
        /// When its certificate has to be told of next.
        var certificateDue: Instant?

        init(index: Int, endpoint: Endpoint, courier: Courier) {
            self.index = index
            self.endpoint = endpoint
            self.courier = courier
        }
    }

    struct Wake: Comparable {
        var at: Instant
        var slot: Int

        static func < (a: Wake, b: Wake) -> Bool { (a.at, a.slot) < (b.at, b.slot) }
    }

    let outside: Outside
    var jobs: [Job] = []
    private var errands: [Errand] = []

    /// By slot; an endpoint has no machine while it is disabled and nothing of it is in flight.
    var scheduler = DeliveryScheduler()
    var slots: [Slot?] = []
    var indexOfEndpoint: [EndpointID: Int] = [:]
    var slotsOfDealer: [DealerID: [Int]] = [:]
    var slotsOfPartner: [PartnerID: [Int]] = [:]
    /// How far each log was told to reach: a machine may be made from what was read just before.
    var logEnds: [DealerID: Int64] = [:]
    private var wakes = Heap<Wake>()
    /// When certificates have to be told of.
    var certificateDues = Heap<Wake>()

    var recording = Recording()
    var touched: [Int] = []
    var held = 0
    var inFlight: Int { scheduler.inFlight }
    /// Ends of attempts that wait until the ledger records again.
    private var deferred: [FinishedAttempt] = []

    /// Reloads run one after the other, so that an older reading never follows a newer one.
    var reloads: [Reload] = []
    var isReloading = false

    /// Endpoints that wait for their turn to look for alarms in a log, one at a time.
    var seekers: [Int] = []
    var isSeeking = false

    var isStopping = false
    var isOutOfTime = false
    /// Nothing is in flight any more: the last batch is under way.
    private var isClosingUp = false
    private(set) var isFinished = false

    init(_ outside: Outside) { self.outside = outside }

    var now: Instant { outside.clock.now }

    mutating func takeJobs() -> [Job] {
        defer { jobs = [] }
        return jobs
    }

    /// Attempts to be made, alarms first.
    mutating func takeErrands() -> [Errand] {
        defer { errands = [] }
        return errands
    }

    /// Takes up every endpoint where the ledger says it is.
    mutating func start() async throws {
        var after: EndpointID?
        while true {
            let page = try await EndpointRecord.page(after: after, limit: Self.pageSize, from: outside.ledger)
            for record in page { take(record) }
            guard page.count == Self.pageSize, let last = page.last else { break }
            after = last.endpoint.id
        }
        conclude()
    }

    // MARK: - Messages

    /// Handles messages; ``conclude()`` follows when there are no more for now.
    mutating func handle(_ messages: ArraySlice<DeliveryMessage>) {
        for message in messages { handle(message) }
    }

    private mutating func handle(_ message: DeliveryMessage) {
        switch message {
        case .published(let events): publish(events)
        case .logReaches(let ends):
            for end in ends {
                logEnds[end.dealerID] = max(end.sequence, logEnds[end.dealerID] ?? 0)
                each(slotsOfDealer[end.dealerID]) { $0.logReaches(end, at: $1) }
            }
        case .finished(let finished): finish(finished)
        case .wake: wake()
        case .left(let count):
            scheduler.left(count)
            perform(at: now)
        case .logRead(let slot, let request, let answer): logWasRead(slot, request, answer)
        case .alarmsSought(let slot, let search, let answer): alarmsWereSought(slot, search, answer)
        case .seekNext: isSeeking = false
        case .rowsLoaded(let slot, let answer): rowsWereLoaded(slot, answer)
        case .recorded(let error): wasRecorded(error)
        case .recordAgain: jobs.append(recordJob(recording.flushing))
        case .announced(let slot, let announcement): wasAnnounced(slot, announcement)
        case .reload(let reload): reloads.append(reload)
        case .reloaded(let reload, let answer): wasReloaded(reload, answer)
        case .resend(let id, let event, let attempts, let waiter): resend(id, event, attempts, waiter)
        case .flush(let waiter):
            recording.wantsCursors = true
            afterRecording(.resume(waiter))
        case .rowsAdded(let id, let hastened): rowsWereAdded(to: id, hastened)
        case .taskCancelled(let task, let id): taskWasCancelled(task, of: id)
        case .whenQuiet(let id, let signal): waitForQuiet(id, signal)
        case .stop: stop()
        case .stopNow: isOutOfTime = true
        }
    }

    /// Does what follows messages, whatever they were.
    mutating func conclude() {
        reloadNext()
        seekNext()
        if isStopping, !isClosingUp, inFlight == 0 || isOutOfTime {
            isClosingUp = true
            touchAll()
        }
        if isOutOfTime, recording.isStalled { giveUpRecording() }
        flush()
        if isClosingUp, recording.isDone { isFinished = true }
        while let next = wakes.min, slots[next.slot]?.wakeAt != next.at { _ = wakes.popMin() }
        let next = [wakes.min?.at, certificateDues.min?.at, scheduler.nextLook, recording.nextBegin]
            .compactMap(\.self).min()
        outside.alarm.set(isStopping ? nil : next)
    }

    private mutating func publish(_ events: [LoggedEvent]) {
        guard !isStopping else { return }
        var start = 0
        while start < events.count {
            let dealer = events[start].dealerID
            var end = start + 1
            while end < events.count, events[end].dealerID == dealer { end += 1 }
            let run = events[start..<end]
            logEnds[dealer] = max(events[end - 1].sequence, logEnds[dealer] ?? 0)
            if !slotsOfPartner.isEmpty { followPartners(of: run, in: dealer) }
            each(slotsOfDealer[dealer]) { $0.append(run, at: $1) }
            start = end
        }
    }

    /// Tells the machines of these slots something, and does what they answer.
    private mutating func each(
        _ indices: [Int]?,
        _ tell: (inout EndpointConsumer, Instant) -> [EndpointConsumer.Action]
    ) {
        guard let indices else { return }
        let now = now
        for index in indices { self.tell(index, at: now, tell) }
    }

    mutating func tell(
        _ index: Int,
        at now: Instant,
        _ tell: (inout EndpointConsumer, Instant) -> [EndpointConsumer.Action]
    ) {
        guard let slot = slots[index], scheduler[index] != nil else { return }
        scheduler.tell(index, at: now, tell)
        perform(at: now)
        concludeTelling(slot, at: now)
    }

    private mutating func concludeTelling(_ slot: Slot, at now: Instant) {
        touch(slot)
        setWake(slot, after: now)
        if slot.awaitsRebuild, scheduler[slot.index]?.isIdle ?? true { afterRecording(.rebuild(slot: slot.index)) }
        signalIfQuiet(slot)
    }

    /// Does what the machines have put out, be it for the one that was told something or for another whose turn it is.
    private mutating func perform(at now: Instant) {
        var last: Slot?
        for (index, action) in scheduler.takeOutputs(at: now) {
            guard let slot = slots[index] else { continue }
            perform(action, for: slot, at: now)
            guard last !== slot else { continue }
            touch(slot)
            setWake(slot, after: now)
            last = slot
        }
    }

    private mutating func setWake(_ slot: Slot, after now: Instant) {
        let wakeAt = scheduler[slot.index]?.nextWake(after: now)
        guard wakeAt != slot.wakeAt else { return }
        slot.wakeAt = wakeAt
        if let wakeAt { wakes.insert(Wake(at: wakeAt, slot: slot.index)) }
    }

    private mutating func wake() {
        let now = now
        while let next = wakes.min, next.at <= now {
            _ = wakes.popMin()
            guard let slot = slots[next.slot], slot.wakeAt == next.at else { continue }
            slot.wakeAt = nil
            tell(next.slot, at: now) { $0.wake(at: $1) }
        }
        tellOfCertificates(at: now)
        perform(at: now)
    }

    // MARK: - Actions

    private mutating func perform(_ action: EndpointConsumer.Action, for slot: Slot, at now: Instant) {
        switch action {
        case .send(let attempt): send(attempt, for: slot)
        case .save(let row): recording.pending.exceptions.append(row)
        case .stand(let since):
            recording.pending.standings.append(
                EndpointStanding(endpointID: slot.endpoint.id, failingSince: since)
            )
        case .announce(let announcement): announce(announcement, for: slot)
        case .readLog(let request): readLog(request, for: slot)
        case .seekAlarms: seekers.append(slot.index)
        case .loadRows(let limit): afterRecording(.load(slot: slot.index, limit: limit))
        case .saveCursors: recording.wantsCursors = true
        case .settled(let event, let state, let attempts):
            outside.metrics.settled(event, state, at: now)
            outside.observer?.settled(event, to: slot.endpoint.id, as: state, attempts: attempts, at: now)
        case .breaker(let breaker):
            let wasClosed = outside.health.breaker(of: slot.endpoint.id).isClosed
            outside.metrics.breakersOpen(outside.health.note(breaker, of: slot.endpoint.id))
            guard wasClosed, !breaker.isClosed else { return }
            outside.logger.info("an endpoint does not answer", metadata: ["endpoint.id": "\(slot.endpoint.id)"])
        }
    }

    private mutating func send(_ attempt: EndpointConsumer.Attempt, for slot: Slot) {
        let (outside, index, flight) = (outside, slot.index, attempt.flight)
        let deliveryClass = DeliveryClass(attempt.event.type)
        let errand = slot.courier.errand(attempt, clock: outside.clock) { result, row, endedAt in
            let finished = FinishedAttempt(
                slot: index,
                flight: flight,
                deliveryClass: deliveryClass,
                result: result,
                row: row,
                endedAt: endedAt
            )
            outside.gather(.finished(finished))
        }
        errands.append(errand)
    }

    private mutating func finish(_ finished: FinishedAttempt) {
        if recording.isStalled {
            deferred.append(finished)
            return
        }
        // An attempt that we ended ourselves says nothing about the receiver.
        if isOutOfTime { return }
        outside.metrics.attempt(finished.result.verdict, microseconds: finished.row.totalMicroseconds)
        let slot = slots[finished.slot]
        if slot != nil { recording.pending.attempts.append(finished.row) }
        scheduler.finished(
            finished.slot,
            (finished.flight, finished.deliveryClass),
            finished.result,
            took: .microseconds(finished.row.totalMicroseconds),
            at: finished.endedAt,
            jitter: outside.randomness.fraction()
        )
        perform(at: finished.endedAt)
        guard let slot else { return }
        concludeTelling(slot, at: finished.endedAt)
        outside.observer?.attempted(
            finished.row.position,
            to: finished.row.endpointID,
            verdict: finished.result.verdict,
            at: finished.endedAt
        )
    }

    /// The ledger records again: takes the ends of attempts that had to wait.
    mutating func takeDeferred() {
        let waiting = deferred
        deferred = []
        for finished in waiting { finish(finished) }
    }

    private mutating func resend(_ id: EndpointID, _ event: LoggedEvent, _ attempts: Int, _ waiter: Waiter) {
        if let index = indexOfEndpoint[id], let slot = slots[index] {
            if scheduler[index].map({ $0.isRetired || !$0.settings.isEnabled }) ?? true {
                leaveForNextMachine(event, attempts, of: slot)
            } else {
                tell(index, at: now) { $0.resend(event, attempts: attempts, at: $1) }
            }
        }
        afterRecording(.resume(waiter))
    }

    private mutating func stop() {
        guard !isStopping else { return }
        isStopping = true
        // What is not begun is still behind the cursor, and is begun after the restart.
        scheduler.isStopped = true
        let outside = outside
        let deadline = now + DeliveryEngine.drainBound
        jobs.append {
            try? await outside.clock.sleep(until: deadline)
            outside.post(.stopNow)
        }
    }
}
