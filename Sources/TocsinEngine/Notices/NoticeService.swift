import Logging
import Metrics
import ServiceLifecycle
import TocsinCore
import TocsinLedger

/// Has every stored notice delivered at least once, or gives it up after its last attempt.
///
/// The truth is the ledger: the service sleeps until a decision has stored new notices or the next retry is due, and a
/// restart goes on where it stopped. What was sent and not yet recorded when the program died is sent again, under the
/// same id.
package final class NoticeService: Service, EventSink {
    /// Read, sent and recorded together: as many may be sent twice after a crash.
    static let pageSize = 16
    /// Mail servers bound the connections of one client, often to ten or so.
    static let concurrency = 4
    /// How soon the ledger is asked again after it failed.
    static let retryAfterFailure: Duration = .seconds(1)

    private let ledger: any Ledger
    private let notifier: any Notifier
    private let clock: any WallClock
    private let logger: Logger
    private let signal = WakeSignal()
    private let outcomes = Dictionary(
        uniqueKeysWithValues: [Notice.State.waiting, .sent, .failed].map {
            ($0, Counter(label: "tocsin_notices_total", dimensions: [("outcome", $0.rawValue)]))
        }
    )

    package init(ledger: any Ledger, notifier: any Notifier, clock: any WallClock, logger: Logger) {
        self.ledger = ledger
        self.notifier = notifier
        self.clock = clock
        self.logger = logger
    }

    /// Every notice is stored with an event of its kind (decisions §4), which is the sign to look.
    package func published(_ events: [LoggedEvent]) {
        let tellsPeople = events.contains { $0.type == .armingFailed || $0.type == .armingWarning }
        if tellsPeople { signal.signal() }
    }

    /// Runs until graceful shutdown, which breaks off what is being sent; that is sent again after the next start.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let next = await self.sendDue()
                if Task.isCancelled { return }
                await self.signal.wait(until: next, clock: self.clock)
            }
        }
    }

    /// Sends all that is due, and returns when the next notice is.
    private func sendDue() async -> Instant? {
        do {
            while !Task.isCancelled {
                let now = clock.now
                let page = try await ledger.read { try $0.dueNotices(by: now, limit: Self.pageSize) }
                if page.isEmpty { return try await ledger.read { try $0.nextNoticeDue() } }
                await record(await send(page))
            }
            return nil
        } catch {
            logger.error("notices cannot be read; tried again", metadata: ["error": "\(error)"])
            return clock.now + Self.retryAfterFailure
        }
    }

    private func send(_ page: [Notice]) async -> [NoticeOutcome] {
        await withTaskGroup(of: NoticeOutcome?.self) { group in
            var outcomes: [NoticeOutcome] = []
            var waiting = page.makeIterator()
            for _ in 0..<Self.concurrency {
                guard let notice = waiting.next() else { break }
                group.addTask { await self.attempt(notice) }
            }
            while let outcome = await group.next() {
                if let outcome { outcomes.append(outcome) }
                if !Task.isCancelled, let notice = waiting.next() { group.addTask { await self.attempt(notice) } }
            }
            return outcomes
        }
    }

    /// Tries once; nothing is said of an attempt that the end of the program broke off.
    private func attempt(_ notice: Notice) async -> NoticeOutcome? {
        if clock.now - notice.createdAt > Notice.lifetime { return notice.abandoned("it is older than a day") }
        if notice.address == nil { return notice.abandoned("the person has no e-mail address any more") }
        do throws(NotifierError) {
            try await notifier.deliver(notice)
            return notice.sent
        } catch {
            if Task.isCancelled { return nil }
            // The sentence may quote the mail server, and that the address: it is kept in the ledger only.
            logger.warning(
                "a notice was not delivered",
                metadata: [
                    "notice.id": "\(notice.messageID)", "error": "\(error.code.rawValue)",
                    "attempt": "\(notice.attempts + 1)",
                ]
            )
            return notice.failed(
                "\(error.code.rawValue): \(error.sentence)",
                isPermanent: error.isPermanent,
                at: clock.now
            )
        }
    }

    /// Records what became of a page, however often the ledger must be asked: nobody is to get a message every second
    /// because the disk is full.
    private func record(_ page: [NoticeOutcome]) async {
        if page.isEmpty { return }
        while true {
            do {
                try await ledger.write { transaction in
                    for outcome in page { try transaction.record(outcome) }
                }
                for outcome in page { outcomes[outcome.state]?.increment() }
                return
            } catch {
                logger.error("what became of notices cannot be recorded; tried again", metadata: ["error": "\(error)"])
                guard (try? await clock.sleep(until: clock.now + Self.retryAfterFailure)) != nil else { return }
            }
        }
    }
}
