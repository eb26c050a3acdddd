import Logging
import TocsinCore
import TocsinEngine
import TocsinLedger

/// What is being recorded, and what waits for it.
///
/// One batch is under way at a time; what gathers meanwhile is the next. Batches are numbered, so that something can wait
/// for all that was put out before it. A large one is recorded in parts, between which an alarm can be committed.
struct Recording {
    enum Waiting: Sendable {
        case load(slot: Int, limit: Int)
        case rebuild(slot: Int)
        case resume(Waiter)
        case signal(WakeSignal)
    }

    /// Attempts that are recorded in one go: some five milliseconds of the ledger's writer.
    static let attemptsAtOnce = 512
    /// A batch has no more parts: on a slow disk what gathers meanwhile must not grow for ever.
    private static let partsMaximum = 4
    /// Beyond so many attempts a batch, the next one waits: each commit writes what it touches anew, however much it tells of.
    private static let attemptsOfBusyTime = 64
    /// From the beginning of a batch to that of the next in busy times.
    private static let pause: Duration = .milliseconds(25)

    var pending = DeliveryBatch()
    var flushing = DeliveryBatch()
    /// What the batch under way has beyond the part that is recorded.
    private var rest = DeliveryBatch()
    private var attemptsOfPart = Recording.attemptsAtOnce
    var isFlushing = false
    /// The ledger could not record the batch under way; it is tried again.
    var isStalled = false
    /// Cursors alone are worth a batch.
    var wantsCursors = false
    /// In busy times nothing begins before.
    private var pauseEnd: Instant?
    private var pendingNumber = 1
    private var recordedNumber = 0
    private var waiting: [(number: Int, what: Waiting)] = []

    var isDone: Bool { pending.isEmpty && rest.isEmpty && !isFlushing && waiting.isEmpty }

    /// Parts of a batch are still to be recorded.
    var hasRest: Bool { !rest.isEmpty }

    /// The last batch that holds anything put out so far.
    private var lastNumber: Int {
        if !pending.isEmpty || wantsCursors { return pendingNumber }
        return isFlushing || hasRest ? pendingNumber - 1 : recordedNumber
    }

    mutating func wait(_ what: Waiting) { waiting.append((number: lastNumber, what: what)) }

    /// Whether the next batch waits for more, as none does that is waited for or is a part's worth already.
    func isPausing(at now: Instant) -> Bool {
        guard let pauseEnd, now < pauseEnd else { return false }
        return !hasRest && waiting.isEmpty && pending.attempts.count < Self.attemptsAtOnce
    }

    /// When what waits for more begins; nil where nothing does.
    var nextBegin: Instant? { isFlushing || pending.isEmpty && !wantsCursors ? nil : pauseEnd }

    /// The next part of the batch under way, or the first of what has gathered.
    mutating func begin(at now: Instant) -> DeliveryBatch {
        if !hasRest {
            pauseEnd = pending.attempts.count > Self.attemptsOfBusyTime ? now + Self.pause : nil
            (rest, pending) = (pending, DeliveryBatch())
            pendingNumber += 1
            attemptsOfPart = max(Self.attemptsAtOnce, rest.attempts.count / Self.partsMaximum + 1)
            // What failed is recorded together with what follows from it, and cursors pass nothing that is not recorded: all
            // of that is the last part.
            if rest.attempts.count > attemptsOfPart {
                rest.attempts = rest.attempts.filter(\.isPlain) + rest.attempts.filter { !$0.isPlain }
            }
        }
        let part = rest.attempts.prefix(attemptsOfPart)
        if part.count < rest.attempts.count, part.last?.isPlain == true {
            flushing = DeliveryBatch(attempts: Array(part))
            rest.attempts.removeFirst(part.count)
        } else {
            (flushing, rest) = (rest, DeliveryBatch())
        }
        isFlushing = true
        return flushing
    }

    /// There was nothing to record after all.
    mutating func skip() {
        recordedNumber = pendingNumber
        pendingNumber += 1
    }

    mutating func end() {
        flushing = DeliveryBatch()
        isFlushing = false
        isStalled = false
        if !hasRest { recordedNumber = pendingNumber - 1 }
    }

    /// Forgets everything; returns what waited for it.
    mutating func giveUp() -> [Waiting] {
        defer { self = Recording() }
        return waiting.map(\.what)
    }

    /// What waited for batches that are recorded by now.
    mutating func takeReady() -> [Waiting] {
        guard let first = waiting.first, first.number <= recordedNumber else { return [] }
        let count = waiting.firstIndex { $0.number > recordedNumber } ?? waiting.count
        defer { waiting.removeFirst(count) }
        return waiting.prefix(count).map(\.what)
    }
}

/// How results reach the ledger, and what the ledger answers.
extension DeliveryLoop {
    mutating func touch(_ slot: Slot) {
        guard !slot.isTouched else { return }
        slot.isTouched = true
        touched.append(slot.index)
    }

    mutating func touchAll() {
        for case let slot? in slots { touch(slot) }
        recording.wantsCursors = true
    }

    /// Records what has gathered, unless a batch is under way, and does what waited for that.
    mutating func flush() {
        while true {
            for ready in recording.takeReady() { perform(ready) }
            if recording.isFlushing || !isStopping && recording.isPausing(at: now) { return }
            if !recording.hasRest {
                guard !recording.pending.isEmpty || recording.wantsCursors else { return }
                takeCursors()
                recording.wantsCursors = false
            }
            if !recording.hasRest, recording.pending.isEmpty {
                recording.skip()
            } else {
                let batch = recording.begin(at: now)
                outside.metrics.recorded(attempts: batch.attempts.count, held: held, inFlight: inFlight)
                jobs.append(recordJob(batch))
                return
            }
        }
    }

    private mutating func takeCursors() {
        for index in touched {
            guard let slot = slots[index] else { continue }
            slot.isTouched = false
            recording.pending.cursors += scheduler.update(index) { $0.takeCursors() } ?? []
            // A disabled endpoint needs no memory; when it is enabled, the ledger tells where to go on.
            if let consumer = scheduler[index], !consumer.settings.isEnabled, consumer.isIdle {
                scheduler.set(index, nil)
                outside.health.forget(slot.endpoint.id)
            }
            let count = scheduler[index]?.heldCount ?? 0
            held += count - slot.heldWhenCounted
            slot.heldWhenCounted = count
        }
        touched.removeAll(keepingCapacity: true)
    }

    func recordJob(_ batch: DeliveryBatch) -> Job {
        let outside = outside
        return {
            do throws(LedgerError) {
                try await outside.ledger.record(batch)
                outside.post(.recorded(nil))
            } catch {
                outside.post(.recorded(error))
            }
        }
    }

    mutating func wasRecorded(_ error: LedgerError?) {
        guard let error else {
            outside.tasks.recorded(recording.flushing)
            recording.end()
            takeDeferred()
            return
        }
        outside.logger.error("deliveries cannot be recorded, trying again", metadata: ["ledger.error": "\(error)"])
        recording.isStalled = true
        if isOutOfTime { return giveUpRecording() }
        let (outside, instant) = (outside, now + Self.pauseAfterFailure)
        jobs.append {
            try? await outside.clock.sleep(until: instant)
            outside.post(.recordAgain)
        }
    }

    /// The ledger takes nothing, and time is up: what is not recorded is sent again after the restart, and no cursor passes it.
    mutating func giveUpRecording() {
        let waiting = recording.giveUp()
        for case .resume(let waiter) in waiting { waiter.resume() }
        for case .signal(let signal) in waiting { signal.signal() }
    }

    mutating func afterRecording(_ what: Recording.Waiting) { recording.wait(what) }

    private mutating func perform(_ ready: Recording.Waiting) {
        switch ready {
        case .load(let slot, let limit): loadRows(slot, limit)
        case .rebuild(let slot): rebuild(slot)
        case .resume(let waiter): waiter.resume()
        case .signal(let signal): signal.signal()
        }
    }

    // MARK: - Reading

    mutating func readLog(_ request: EndpointConsumer.LogRead, for slot: Slot) {
        let (outside, index, endpoint) = (outside, slot.index, slot.endpoint.id)
        jobs.append {
            do {
                let answer = try await outside.ledger.read { reader in
                    var answer = LogAnswer(
                        events: try reader.events(of: request.dealerID, after: request.after, limit: request.limit)
                    )
                    if request.asksForRows { answer.rows = try reader.known(answer.events, to: endpoint) }
                    return answer
                }
                outside.post(.logRead(slot: index, request, .success(answer)))
            } catch {
                outside.post(.logRead(slot: index, request, .failure(error)))
            }
        }
    }

    mutating func logWasRead(
        _ slot: Int,
        _ request: EndpointConsumer.LogRead,
        _ answer: Result<LogAnswer, any Error>
    ) {
        switch answer {
        case .success(let answer):
            tell(slot, at: now) { $0.read(request, events: answer.events, rows: answer.rows, at: $1) }
        case .failure(let error):
            outside.logger.error("the log cannot be read, trying again", metadata: ["ledger.error": "\(error)"])
            tell(slot, at: now) { $0.readFailed(request, at: $1) }
        }
    }

    private mutating func loadRows(_ index: Int, _ limit: Int) {
        guard let slot = slots[index] else { return }
        let (outside, endpoint) = (outside, slot.endpoint.id)
        jobs.append {
            do {
                let answer = try await outside.ledger.read { reader in
                    let rows = try reader.dueDeliveries(of: endpoint, by: .endOfTime, limit: limit)
                    return RowsAnswer(
                        rows: try rows.map { (row: $0, event: try reader.event(at: $0.position)) },
                        isComplete: rows.count < limit
                    )
                }
                outside.post(.rowsLoaded(slot: index, .success(answer)))
            } catch {
                outside.post(.rowsLoaded(slot: index, .failure(error)))
            }
        }
    }

    mutating func rowsWereLoaded(_ slot: Int, _ answer: Result<RowsAnswer, any Error>) {
        switch answer {
        case .success(let answer):
            tell(slot, at: now) { $0.loaded(answer.rows, isComplete: answer.isComplete, at: $1) }
        case .failure(let error):
            outside.logger.error("retries cannot be read, trying again", metadata: ["ledger.error": "\(error)"])
            tell(slot, at: now) { $0.loadFailed(at: $1) }
        }
    }
}

extension Instant {
    /// Later than any row of the retry table is due.
    fileprivate static let endOfTime = Instant(secondsSinceEpoch: 253_402_300_799)
}

extension LedgerReader {
    /// The sequences of those events that have a row in the retry table, or were delivered at once.
    func known(_ events: [LoggedEvent], to endpoint: EndpointID) throws -> Set<Int64> {
        // One slow attempt holds the cursor, but not what was recorded behind it.
        var known = try deliveredAtOnce(events, to: endpoint)
        for event in events where try exceptionalDelivery(of: event.position, to: endpoint) != nil {
            known.insert(event.sequence)
        }
        return known
    }
}
