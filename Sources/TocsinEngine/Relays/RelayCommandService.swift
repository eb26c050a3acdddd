import Logging
import Metrics
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinJSON
import TocsinLedger

/// Hears that commands to relays were stored.
package protocol RelayCommandSink: Sendable {
    /// Called after the commit; must return at once.
    func relayCommandsStored()
}

/// Has every stored command to a relay delivered at least once, or gives it up when it is of no use any more.
///
/// The truth is the ledger: the service sleeps until a decision has stored new commands or the next retry is due, and a
/// restart goes on where it stopped. What was sent and not yet recorded when the program died is sent again, under the
/// same id. A relay has one command under way at most, so that their order is kept; a bridge that is slow holds up its own
/// site only.
package final class RelayCommandService: Service, RelayCommandSink {
    /// Attempts under way at once; each holds a connection for 5 s at most.
    static let concurrency = 64
    /// Of these for one site: whatever its bridges do, others go on.
    package static let concurrencyPerSite = 4
    /// Of these for one dealer, so that one with many dead bridges does not take all.
    static let concurrencyPerDealer = 16
    /// Due commands that are looked through for some that may go.
    static let pageSize = 1_024
    /// How soon the ledger is asked again after it failed.
    static let retryAfterFailure: Duration = .seconds(1)

    private let ledger: any Ledger
    private let log: any RelayActuator
    private let webhook: any RelayActuator
    private let clock: any WallClock
    private let logger: Logger
    private let signal = WakeSignal()
    private let attempts = Mutex(Attempts())
    private let outcomes = Dictionary(
        uniqueKeysWithValues: RelayCommand.State.allCases.map {
            ($0, Counter(label: "tocsin_relay_commands_total", dimensions: [("outcome", $0.rawValue)]))
        }
    )

    /// Wires the service.
    ///
    /// - Parameters:
    ///   - ledger: Where the commands are.
    ///   - log: Takes the commands of relays that no bridge is set for.
    ///   - webhook: Takes those of relays with a bridge.
    ///   - clock: Tells what is due.
    ///   - logger: Gets what was not delivered.
    package init(
        ledger: any Ledger,
        log: any RelayActuator,
        webhook: any RelayActuator,
        clock: any WallClock,
        logger: Logger
    ) {
        self.ledger = ledger
        self.log = log
        self.webhook = webhook
        self.clock = clock
        self.logger = logger
    }

    /// What is being sent, and what is not to be sent because a look at the ledger came too early to know better.
    private struct Attempts {
        var underWay: [RelayID: RelayCommand] = [:]
        /// Relays whose attempts have ended since the ledger was last asked for what is due.
        var ended: Set<RelayID> = []
    }

    package func relayCommandsStored() { signal.signal() }

    /// Runs until graceful shutdown, which breaks off what is being sent; that is sent again after the next start.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    let next = await self.startDue(&group)
                    if Task.isCancelled { break }
                    await self.signal.wait(until: next, clock: self.clock)
                }
                group.cancelAll()
                await self.log.stop()
                await self.webhook.stop()
            }
        }
    }

    /// Sets off all that is due and may go, and returns when the next command is due; those that had to wait for others
    /// are looked at when one of these ends.
    private func startDue(_ group: inout DiscardingTaskGroup) async -> Instant? {
        let now = clock.now
        attempts.withLock { $0.ended = [] }
        do {
            let (due, next) = try await ledger.read { reader in
                (
                    try reader.dueRelayCommands(by: now, limit: Self.pageSize),
                    try reader.nextRelayCommandDue(after: now)
                )
            }
            for item in due where admit(item.command) {
                group.addTask { await self.deliver(item) }
            }
            return next
        } catch {
            logger.error("commands to relays cannot be read; tried again", metadata: ["error": "\(error)"])
            return now + Self.retryAfterFailure
        }
    }

    /// Counts the command as under way, if its relay, site, dealer and the whole leave room for it.
    ///
    /// What was read while the relay's last attempt ended may tell of that one: the end has the ledger asked again.
    private func admit(_ command: RelayCommand) -> Bool {
        attempts.withLock { attempts in
            let underWay = attempts.underWay
            guard !attempts.ended.contains(command.relayID), underWay[command.relayID] == nil,
                underWay.count < Self.concurrency,
                underWay.values.count(where: { $0.siteID == command.siteID }) < Self.concurrencyPerSite,
                underWay.values.count(where: { $0.dealerID == command.dealerID }) < Self.concurrencyPerDealer
            else { return false }
            attempts.underWay[command.relayID] = command
            return true
        }
    }

    private func deliver(_ item: DueRelayCommand) async {
        if let outcome = await attempt(item) { await record(outcome, of: item.command) }
        attempts.withLock { attempts in
            attempts.underWay[item.command.relayID] = nil
            attempts.ended.insert(item.command.relayID)
        }
        signal.signal()
    }

    /// Tries once; nothing is said of an attempt that the end of the program broke off.
    private func attempt(_ item: DueRelayCommand) async -> RelayCommandOutcome? {
        let command = item.command
        if clock.now >= command.usefulUntil { return command.abandoned("it was of no use any more") }
        guard let relay = item.relay else { return command.failed("its settings cannot be read", at: clock.now) }
        let actuator =
            switch relay.actuator.type {
            case .log: log
            case .webhook: webhook
            }
        do throws(RelayActuatorError) {
            try await actuator.carryOut(command, on: relay)
            return command.sent
        } catch {
            if Task.isCancelled { return nil }
            logger.warning(
                "a command did not reach its relay",
                metadata: [
                    "relay.id": "\(command.relayID)", "command.id": "\(command.id)", "command": "\(command.word)",
                    "error": "\(error.code)", "attempt": "\(command.attempts + 1)",
                ]
            )
            return command.failed("\(error.code): \(error.sentence)", at: clock.now)
        }
    }

    /// Records what became of an attempt, however often the ledger must be asked: no relay is to be told every second
    /// because the disk is full.
    private func record(_ outcome: RelayCommandOutcome, of command: RelayCommand) async {
        let failure = outcome.state == .failed ? Self.audit(outcome, of: command, at: clock.now) : nil
        while true {
            do {
                try await ledger.write { transaction in
                    try transaction.record(outcome)
                    if let failure { try transaction.append(failure) }
                }
                outcomes[outcome.state]?.increment()
                if outcome.state == .failed {
                    logger.error(
                        "a command to a relay is given up",
                        metadata: [
                            "relay.id": "\(command.relayID)", "command.id": "\(command.id)",
                            "command": "\(command.word)",
                        ]
                    )
                }
                return
            } catch {
                logger.error(
                    "what became of a relay's command cannot be recorded; tried again",
                    metadata: ["error": "\(error)"]
                )
                guard (try? await clock.sleep(until: clock.now + Self.retryAfterFailure)) != nil else { return }
            }
        }
    }

    private static func audit(
        _ outcome: RelayCommandOutcome,
        of command: RelayCommand,
        at now: Instant
    ) -> AuditEntry {
        AuditEntry(
            at: now,
            dealerID: command.dealerID,
            siteID: command.siteID,
            actor: .system,
            action: "relay.command",
            target: command.relayID.text,
            result: "undelivered",
            explanation: "The order to switch \(command.word) did not reach the relay: \(outcome.error ?? "no answer")",
            cause: "delivery",
            details: ["command_id": .string(command.id.text), "attempts": JSON(outcome.attempts)]
        )
    }
}
