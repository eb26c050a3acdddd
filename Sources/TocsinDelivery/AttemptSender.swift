import TocsinCore

/// Makes one attempt; tests script one that has no network.
package protocol AttemptSender: Sendable {
    /// Never throws: every way in which an attempt can end is an outcome.
    func send(_ request: WebhookRequest) async -> WebhookOutcome

    /// Makes attempts without a task for each; every one is told its end.
    func begin(_ errands: [Errand], _ listener: any ErrandListener)

    /// Ends the attempts under way, and returns when nothing is left open.
    func stop() async
}

extension WebhookSender: AttemptSender {
    package func stop() async { await shutdown() }
}

/// Hears how attempts and deliveries end; for demonstrations and benchmarks.
package protocol DeliveryObserver: Sendable {
    /// Called when an attempt has ended, before that is recorded; must return at once.
    func attempted(_ position: EventPosition, to endpoint: EndpointID, verdict: AttemptVerdict, at instant: Instant)

    /// Called when a delivery has come to its end, before that is recorded; must return at once.
    func settled(
        _ event: LoggedEvent,
        to endpoint: EndpointID,
        as state: DeliveryState,
        attempts: Int,
        at instant: Instant
    )
}

extension DeliveryObserver {
    package func attempted(
        _ position: EventPosition,
        to endpoint: EndpointID,
        verdict: AttemptVerdict,
        at instant: Instant
    ) {}
}
