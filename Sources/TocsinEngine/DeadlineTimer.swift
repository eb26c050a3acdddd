import HeapModule
import Logging
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinLedger

/// Wakes sites when their next deadline has come; sleeps in between, polls nothing.
///
/// The truth is the deadline in each site's stored state. This heap is only the alarm clock in front of it: an entry
/// that has become wrong wakes the site for nothing.
package final class DeadlineTimer: Service {
    /// A request whose last byte was read just before a deadline may still be on its way to the engine; the engine
    /// orders by arrival, so the deadline waits this long for it (design, time: the disarm that came first wins).
    package static let settleTime: Duration = .milliseconds(25)
    /// How soon a deadline is tried again that the ledger could not take.
    package static let retryAfterFailure: Duration = .seconds(1)
    /// How many sites are woken together, so that each does not cost two locks of its own.
    private static let sitesAtOnce = 256
    /// How many deadlines are read at once while starting.
    private static let pageSize = 5_000

    private struct Entry: Comparable {
        var due: Instant
        /// Of those that are due in one millisecond, what was added first comes first.
        var number: Int
        var site: SiteID

        static func < (a: Entry, b: Entry) -> Bool { a.due == b.due ? a.number < b.number : a.due < b.due }

        static func == (a: Entry, b: Entry) -> Bool { a.due == b.due && a.number == b.number }
    }

    /// Deadlines, the next one first.
    private struct Entries {
        private var heap = Heap<Entry>()
        private var added = 0

        var min: Entry? { heap.min }

        /// Adds a deadline; true if it is the next one now.
        mutating func add(_ site: SiteID, at due: Instant) -> Bool {
            let isNext = heap.min.map { due < $0.due } ?? true
            added += 1
            heap.insert(Entry(due: due, number: added, site: site))
            return isNext
        }

        mutating func removeMin() -> Entry { heap.removeMin() }
    }

    private let ledger: any Ledger
    private let clock: any WallClock
    private let logger: Logger
    private let wake: @Sendable ([SiteID], Instant, _ areDue: Bool) -> Int
    private let entries = Mutex(Entries())
    /// The same deadlines, until somebody has looked at them ahead of their time.
    private let ahead = Mutex(Entries())
    /// Somebody was told of upcoming deadlines, and has not taken all of them yet.
    private let isTold = Atomic(false)
    private let aheadSignal = WakeSignal()
    private let signal = WakeSignal()

    /// Takes what to call when sites are due, or soon will be; it answers how many of them, the first ones, were taken.
    init(
        ledger: any Ledger,
        clock: any WallClock,
        logger: Logger,
        wake: @escaping @Sendable ([SiteID], Instant, _ areDue: Bool) -> Int
    ) {
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
        self.wake = wake
    }

    /// Adds a deadline; an earlier one of the same site stays and does no harm.
    package func schedule(_ site: SiteID, at due: Instant) {
        if entries.withLock({ $0.add(site, at: due) }) { signal.signal() }
        if ahead.withLock({ $0.add(site, at: due) }) { aheadSignal.signal() }
    }

    /// Hands out some of the deadlines that are near, each once, the next first; those that are due already are left out.
    func takeUpcoming(limit: Int) -> [(site: SiteID, due: Instant)] {
        let now = clock.now
        let taken = ahead.withLock { entries in
            var taken: [(site: SiteID, due: Instant)] = []
            while taken.count < limit, let next = entries.min, next.due <= now + Foresight.lead {
                _ = entries.removeMin()
                if next.due > now { taken.append((next.site, next.due)) }
            }
            return taken
        }
        if taken.isEmpty {
            if isTold.exchange(false, ordering: .relaxed) { aheadSignal.signal() }
        }
        return taken
    }

    /// Loads what the ledger remembers, then wakes sites until graceful shutdown; what fell due while the server was
    /// down is woken at once, in order.
    package func run() async throws {
        try await load()
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.tellUpcoming() }
                while !Task.isCancelled {
                    let due = self.entries.withLock { $0.min?.due }
                    await self.signal.wait(until: due.map { $0 + Self.settleTime }, clock: self.clock)
                    self.fire()
                }
            }
        }
    }

    /// Says whenever deadlines come near, once until all of them have been looked at.
    private func tellUpcoming() async {
        while !Task.isCancelled {
            let next = isTold.load(ordering: .relaxed) ? nil : ahead.withLock { $0.min }
            await aheadSignal.wait(until: next.map { $0.due - Foresight.lead }, clock: clock)
            let now = clock.now
            guard !isTold.load(ordering: .relaxed),
                let next = ahead.withLock({ $0.min }), next.due - Foresight.lead <= now
            else { continue }
            isTold.store(true, ordering: .relaxed)
            _ = wake([next.site], now, false)
        }
    }

    private func fire() {
        let now = clock.now
        while true {
            let due = entries.withLock { entries in
                var due: [Entry] = []
                while due.count < Self.sitesAtOnce, let next = entries.min, next.due + Self.settleTime <= now {
                    due.append(entries.removeMin())
                }
                return due
            }
            if due.isEmpty { return }
            let taken = wake(due.map(\.site), now, true)
            for entry in due.dropFirst(taken) { schedule(entry.site, at: now + Self.retryAfterFailure) }
            if taken < due.count { return }
        }
    }

    private func load() async throws {
        var after: (due: Instant, site: SiteID)?
        var count = 0
        while true {
            let from = after
            let page = try await ledger.read { try $0.pendingDeadlines(after: from, limit: Self.pageSize) }
            let now = clock.now
            entries.withLock { entries in
                for deadline in page {
                    _ = entries.add(deadline.site, at: deadline.due)
                    _ = ahead.withLock { $0.add(deadline.site, at: deadline.due) }
                    // It may be a command that waits for a partner: that is sent again before its time runs out.
                    if deadline.due > now, deadline.due <= now + PendingCommand.patience {
                        _ = entries.add(deadline.site, at: now - Self.settleTime)
                    }
                }
            }
            count += page.count
            guard page.count == Self.pageSize, let last = page.last else { break }
            after = (last.due, last.site)
        }
        if count > 0 { logger.info("deadlines resumed", metadata: ["count": "\(count)"]) }
    }
}
