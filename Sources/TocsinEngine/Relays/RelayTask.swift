import TocsinCore
import TocsinLedger

/// Switches a relay by hand (decisions §7).
package struct RelayTask: SiteTask {
    package enum Action: Hashable, Sendable {
        /// For so many seconds.
        case activate(seconds: Int)
        case deactivate
    }

    /// What the relay's order came to.
    package enum Answer: Sendable {
        /// The bytes of the reply.
        case done([UInt8])
        case unknownRelay
    }

    package let relayID: RelayID
    package let action: Action
    package let request: Request?
    private let caller: String
    private let render: @Sendable (RelayOutcome.Answer, SiteRecord) -> [UInt8]

    /// Takes what is to be done, for whom, and how it is told.
    package init(
        _ action: Action,
        of relayID: RelayID,
        request: Request,
        render: @escaping @Sendable (RelayOutcome.Answer, SiteRecord) -> [UInt8]
    ) {
        self.relayID = relayID
        self.action = action
        self.request = request
        self.render = render
        caller = request.actor.id
        siteID = request.siteID
        receivedAt = request.receivedAt
    }

    package let siteID: SiteID
    package let receivedAt: Instant

    package func decide(_ plan: inout Plan) throws(VaultError) -> Answer {
        let outcome =
            switch action {
            case .activate(let seconds):
                plan.machine.activateRelay(relayID, seconds: seconds, by: caller, receivedAt: receivedAt)
            case .deactivate: plan.machine.deactivateRelay(relayID, by: caller, receivedAt: receivedAt)
            }
        guard let answer = outcome.answer else {
            // Written down so that it is committed: a site that was remembered from before the relay was added is then
            // loaded anew, and the task decided again.
            plan.decision.audit.append(
                plan.entry(
                    request,
                    action: action == .deactivate ? "relay.deactivate" : "relay.activate",
                    target: relayID.text,
                    result: "relay_not_found",
                    "The site has no such relay"
                )
            )
            return .unknownRelay
        }
        _ = plan.take(outcome.effects, for: request)
        let reply = render(answer, plan.recordAfter)
        try plan.keep(request?.idempotency, status: 200) { reply }
        return .done(reply)
    }
}
