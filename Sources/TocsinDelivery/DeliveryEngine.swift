import Logging
import ServiceLifecycle
import TocsinCore
import TocsinEngine
import TocsinLedger

/// Why something asked of the delivery engine cannot be done.
package struct DeliveryError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case endpointNotFound = "endpoint_not_found"
        case endpointDisabled = "endpoint_disabled"
        case eventNotFound = "event_not_found"
        /// A partner that no dealer has linked has no log that a test could go through.
        case noLog = "endpoint_without_log"
    }

    package var code: Code
    package var message: String

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code.rawValue): \(message)" }
}

/// Brings every event to every endpoint that takes it: drives one ``EndpointConsumer`` per endpoint (design, delivery).
///
/// One loop owns all machines and takes messages from an inbox: events just committed, ends of attempts, answers of the
/// ledger. Whatever has gathered while it was busy is handled, and recorded, as one batch. Nothing is polled.
package final class DeliveryEngine: Service, EventSink {
    /// How long attempts in flight may take to end once the server stops.
    package static let drainBound: Duration = .seconds(5)
    /// Messages waiting for the loop; beyond it only the logs' ends are noted, and events are read from there.
    private static let inboxMaximum = 20_000

    /// Messages handled before the loop looks for new events again, and begins what it has decided: about a millisecond.
    private static let messagesAtOnce = 32

    /// Events handled before the loop begins what they ask for: twenty endpoints each make it about a millisecond.
    private static let eventsAtOnce = 16

    let outside: Outside
    /// Hears of the same changes.
    private let commands: PartnerCommandSender?

    /// Wires the engine; nothing happens before ``run()``.
    ///
    /// - Parameters:
    ///   - ledger: What is delivered, and where results are recorded.
    ///   - sender: Makes attempts; the engine stops it when it stops.
    ///   - vault: Opens the endpoints' secrets.
    ///   - policy: What URLs may be sent to.
    ///   - clock: Tells the time.
    ///   - randomness: Draws ids and jitter.
    ///   - observer: Hears how deliveries end.
    ///   - commands: Puts commands to partners; hears of changed endpoints from here.
    ///   - sinks: Who else must hear of the events that the engine itself appends.
    ///   - logger: Gets what operators must know.
    package init(
        ledger: any Ledger,
        sender: any AttemptSender,
        vault: Vault,
        policy: EgressPolicy,
        clock: any WallClock,
        randomness: any Randomness,
        observer: (any DeliveryObserver)? = nil,
        commands: PartnerCommandSender? = nil,
        sinks: [any EventSink] = [],
        logger: Logger
    ) {
        self.commands = commands
        outside = Outside(
            ledger: ledger,
            sender: sender,
            vault: vault,
            policy: policy,
            clock: clock,
            randomness: randomness,
            observer: observer,
            sinks: sinks,
            logger: logger
        )
    }

    /// Delivers until graceful shutdown; then starts nothing more, waits for what is in flight, and records it.
    package func run() async throws {
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await serve()
            } onGracefulShutdown: {
                self.outside.post(.stop)
            }
        } onCancel: {
            self.outside.post(.stop)
        }
    }

    private func serve() async throws {
        do {
            // Everything goes through the loop, alarms too: it must not stand behind other tasks.
            try await TaskLane.express { [outside] in try await Self.drive(outside) }
        } catch {
            await outside.close()
            throw error
        }
        await outside.close()
    }

    private static func drive(_ outside: Outside) async throws {
        var loop = DeliveryLoop(outside)
        try await loop.start()
        await withDiscardingTaskGroup { group in
            group.addTask { await outside.alarm.run(outside.clock) { outside.post(.wake) } }
            func begin() {
                for job in loop.takeJobs() { group.addTask(operation: job) }
                let errands = loop.takeErrands()
                if !errands.isEmpty { outside.sender.begin(errands, outside) }
            }
            begin()
            while !loop.isFinished, let messages = await outside.inbox.next() {
                var rest = messages[...]
                while !rest.isEmpty {
                    // What an alarm asks for begins before the next events are looked at.
                    while let message = rest.first, message.isNews {
                        loop.handle(rest.prefix(1))
                        begin()
                        rest = rest.dropFirst()
                    }
                    loop.handle(rest.prefix(messagesAtOnce))
                    begin()
                    rest = rest.dropFirst(messagesAtOnce)
                    if !rest.isEmpty, let news = outside.inbox.takeAhead() { rest = (news + rest)[...] }
                }
                loop.conclude()
                begin()
            }
            await outside.sender.stop()
            group.cancelAll()
        }
        loop.abandonReloads()
    }

    // MARK: - What others tell

    /// Takes events that were just committed.
    package func published(_ events: [LoggedEvent]) {
        if outside.inbox.count < Self.inboxMaximum {
            for start in stride(from: 0, to: events.count, by: Self.eventsAtOnce) {
                outside.post(.published(Array(events[start..<min(start + Self.eventsAtOnce, events.count)])))
            }
        } else {
            var ends: [DealerID: Int64] = [:]
            for event in events { ends[event.dealerID] = event.sequence }
            outside.post(.logReaches(ends.map { EventPosition(dealerID: $0.key, sequence: $0.value) }))
        }
    }

    /// Takes over what the ledger now says of an endpoint: made, changed, enabled, disabled, its secrets rotated.
    ///
    /// Call it after the commit; when it returns, no attempt begins by the old state any more.
    package func endpointChanged(_ id: EndpointID) async {
        await reload(.endpoint(id))
        await commands?.endpointChanged(id)
    }

    /// Forgets an endpoint that the ledger does not have any more.
    package func endpointDeleted(_ id: EndpointID) async {
        await reload(.endpoint(id))
        await commands?.endpointChanged(id)
    }

    /// Takes over an app's scopes, or that it was revoked or deleted.
    package func appChanged(_ id: AppID) async { await reload(.app(id)) }

    /// Takes over that a partner was revoked or deleted, or linked by another dealer.
    package func partnerChanged(_ id: PartnerID) async {
        await reload(.partner(id))
        await commands?.partnerChanged(id)
    }

    private func reload(_ subject: Reload.Subject) async {
        await withCheckedContinuation { continuation in
            if !outside.post(.reload(Reload(subject: subject, continuation: continuation))) { continuation.resume() }
        }
    }

    /// Appends a test event for this endpoint alone, and delivers it.
    ///
    /// - Parameter id: The endpoint, which must be enabled.
    /// - Returns: The event; its delivery is `DeliveryID(of: event.id, to: id)`.
    /// - Throws: ``DeliveryError``, or what the ledger throws.
    package func sendTest(_ id: EndpointID) async throws -> LoggedEvent {
        let now = outside.clock.now
        let draft = EventDraft(
            id: outside.randomness.id(at: now),
            siteID: nil,
            partitionID: nil,
            audience: .endpoint(id),
            body: .testPing(TestPing(endpointID: id, message: "This is a test; nothing happened."))
        )
        let events = try await outside.ledger.write { transaction in
            guard let endpoint = try transaction.endpoint(id, within: .platform) else {
                throw DeliveryError.notFound(id)
            }
            guard endpoint.isEnabled else { throw DeliveryError.disabled(id) }
            guard let dealer = try transaction.cursors(of: id).first?.dealerID else {
                throw DeliveryError(
                    code: .noLog,
                    message: "The endpoint follows no dealer's log yet; link the partner to a dealer first."
                )
            }
            return try transaction.append([draft], to: dealer, at: now)
        }
        outside.publish(events)
        guard let event = events.first else { throw DeliveryError.noEvent }
        return event
    }

    /// Schedules one attempt of a delivery now, whatever became of it before; returns when that is durable.
    ///
    /// - Parameters:
    ///   - position: The event.
    ///   - id: The endpoint, which must be enabled.
    /// - Throws: ``DeliveryError``, or what the ledger throws.
    package func resend(_ position: EventPosition, to id: EndpointID) async throws {
        let (event, attempts) = try await outside.ledger.read { reader in
            guard let endpoint = try reader.endpoint(id, within: .platform) else { throw DeliveryError.notFound(id) }
            guard endpoint.isEnabled else { throw DeliveryError.disabled(id) }
            guard let event = try reader.event(at: position) else { throw DeliveryError.noEvent }
            let row = try reader.exceptionalDelivery(of: position, to: id)
            return (event, try row?.attempts ?? reader.attempts(of: position, to: id).count)
        }
        await withCheckedContinuation { continuation in
            if !outside.post(.resend(id, event, attempts: attempts, continuation)) { continuation.resume() }
        }
    }

    /// How an endpoint's breaker stands; closed for one that is disabled or not known.
    package func breaker(of id: EndpointID) -> CircuitBreaker { outside.health.breaker(of: id) }

    /// Returns when everything that was told to the engine before is handled and recorded.
    package func flush() async {
        await withCheckedContinuation { continuation in
            if !outside.post(.flush(continuation)) { continuation.resume() }
        }
    }
}

extension DeliveryError {
    fileprivate static func notFound(_ id: EndpointID) -> DeliveryError {
        DeliveryError(code: .endpointNotFound, message: "There is no endpoint \(id).")
    }

    fileprivate static func disabled(_ id: EndpointID) -> DeliveryError {
        DeliveryError(code: .endpointDisabled, message: "The endpoint \(id) is disabled; enable it first.")
    }

    fileprivate static let noEvent = DeliveryError(
        code: .eventNotFound,
        message: "The event is not in the log any more."
    )
}

/// What the loop and its jobs reach beyond themselves.
struct Outside: Sendable {
    let ledger: any Ledger
    let sender: any AttemptSender
    let vault: Vault
    let policy: EgressPolicy
    let clock: any WallClock
    let randomness: any Randomness
    let observer: (any DeliveryObserver)?
    let sinks: [any EventSink]
    let logger: Logger
    let alarm = AlarmClock()
    let metrics = DeliveryMetrics()
    let tasks = TaskSignals()
    let health = EndpointHealth()
    /// Unbounded, for ends of attempts must not be lost; what can grow is bounded where it is posted.
    let inbox = Inbox<DeliveryMessage>(capacity: .max)

    /// New events overtake all else, ends of attempts above all: there may be an alarm among them.
    @discardableResult func post(_ message: DeliveryMessage) -> Bool { inbox.put(message, ahead: message.isNews) }

    /// Posts what need not be handled before ``wake()``.
    func gather(_ message: DeliveryMessage) { inbox.gather(message) }

    func publish(_ events: [LoggedEvent]) {
        guard !events.isEmpty else { return }
        post(.published(events))
        for sink in sinks { sink.published(events) }
    }

    /// Nobody handles messages any more; whoever waits for one goes on.
    func close() async {
        inbox.close()
        while let messages = await inbox.next() {
            for message in messages { message.abandon() }
        }
    }
}

extension Outside: ErrandListener {
    func left(_ count: Int) { gather(.left(count)) }

    func wake() { inbox.wake() }
}
