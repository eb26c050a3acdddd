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
    /// How many deadlines are read at once while starting.
    private static let pageSize = 5_000

    private struct Entry: Comparable {
        var due: Instant
        var site: SiteID

        static func < (a: Entry, b: Entry) -> Bool { a.due == b.due ? a.site < b.site : a.due < b.due }
    }

    private let ledger: any Ledger
    private let clock: any WallClock
    private let logger: Logger
    private let wake: @Sendable (SiteID, Instant, _ isDue: Bool) -> Bool
    private let heap = Mutex(Heap<Entry>())
    /// The same deadlines, until somebody has looked at them ahead of their time.
    private let ahead = Mutex(Heap<Entry>())
    /// Somebody was told of upcoming deadlines, and has not taken all of them yet.
    private let isTold = Atomic(false)
    private let aheadSignal = WakeSignal()
    private let signal = WakeSignal()

    /// Takes what to call when a site is due, or soon will be; it answers whether the command was taken.
    init(
        ledger: any Ledger,
        clock: any WallClock,
        logger: Logger,
        wake: @escaping @Sendable (SiteID, Instant, _ isDue: Bool) -> Bool
    ) {
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
        self.wake = wake
    }

    /// Adds a deadline; an earlier one of the same site stays and does no harm.
    package func schedule(_ site: SiteID, at due: Instant) {
        let entry = Entry(due: due, site: site)
        let isNext = heap.withLock { heap in
            let isNext = heap.min.map { due < $0.due } ?? true
            heap.insert(entry)
            return isNext
        }
        let isNextAhead = ahead.withLock { heap in
            let isNext = heap.min.map { due < $0.due } ?? true
            heap.insert(entry)
            return isNext
        }
        if isNext { signal.signal() }
        if isNextAhead { aheadSignal.signal() }
    }

    /// Hands out some of the deadlines that are near, each once, the next first; those that are due already are left out.
    func takeUpcoming(limit: Int) -> [(site: SiteID, due: Instant)] {
        let now = clock.now
        let taken = ahead.withLock { heap in
            var taken: [(site: SiteID, due: Instant)] = []
            while taken.count < limit, let next = heap.min, next.due <= now + Foresight.lead {
                heap.removeMin()
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
                    let due = self.heap.withLock { $0.min?.due }
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
            _ = wake(next.site, now, false)
        }
    }

    private func fire() {
        let now = clock.now
        while true {
            let entry = heap.withLock { heap -> Entry? in
                guard let next = heap.min, next.due + Self.settleTime <= now else { return nil }
                return heap.popMin()
            }
            guard let entry else { return }
            if !wake(entry.site, now, true) {
                schedule(entry.site, at: now + Self.retryAfterFailure)
                return
            }
        }
    }

    private func load() async throws {
        var after: (due: Instant, site: SiteID)?
        var count = 0
        while true {
            let from = after
            let page = try await ledger.read { try $0.pendingDeadlines(after: from, limit: Self.pageSize) }
            let now = clock.now
            heap.withLock { heap in
                for deadline in page {
                    let entry = Entry(due: deadline.due, site: deadline.site)
                    heap.insert(entry)
                    ahead.withLock { $0.insert(entry) }
                    // It may be a command that waits for a partner: that is sent again before its time runs out.
                    if deadline.due > now, deadline.due <= now + PendingCommand.patience {
                        heap.insert(Entry(due: now - Self.settleTime, site: deadline.site))
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
