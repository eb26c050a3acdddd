import TocsinCore

/// How long things are kept (decisions §14; design, delivery: log).
package enum Retention {
    package static let events: Duration = .seconds(90 * 86_400)
    package static let audit: Duration = .seconds(365 * 86_400)
    package static let attempts: Duration = .seconds(30 * 86_400)
    /// What was sent to whom is as good as an attempts log.
    package static let notices: Duration = attempts
    package static let relayCommands: Duration = attempts
    /// As long as the attempts that they sum up.
    package static let settledDeliveries: Duration = attempts
}

extension LedgerReader {
    /// How many events behind a reader's place are missed: the retention has taken them before the reader came to them.
    package func missed(of dealer: DealerID, after sequence: Int64) throws -> Int64 {
        max(0, try firstSequence(of: dealer) - 1 - sequence)
    }

    /// How many events since an instant are missed, at most.
    ///
    /// Which of the events that are gone were committed since then nobody knows any more, so all of them count, unless the
    /// instant is one that the retention has not come to, or the log still has what was before it.
    package func missed(of dealer: DealerID, since instant: Instant, now: Instant) throws -> Int64 {
        guard instant <= now - Retention.events else { return 0 }
        let first = try firstSequence(of: dealer)
        let oldest = try event(at: EventPosition(dealerID: dealer, sequence: first))
        if let oldest, oldest.createdAt < instant { return 0 }
        return first - 1
    }
}
