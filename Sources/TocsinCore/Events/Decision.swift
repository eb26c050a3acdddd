import TocsinJSON

/// An event that a decision adds to the log; the commit gives it its sequence and encodes it.
package struct EventDraft: Hashable, Sendable {
    /// Drawn before the commit, so that a reply can name it.
    package var id: EventID
    package var siteID: SiteID?
    package var partitionID: PartitionID?
    package var audience: EventAudience
    package var body: EventBody

    package init(
        id: EventID,
        siteID: SiteID?,
        partitionID: PartitionID?,
        audience: EventAudience = .everyone,
        body: EventBody
    ) {
        self.id = id
        self.siteID = siteID
        self.partitionID = partitionID
        self.audience = audience
        self.body = body
    }
}

/// One entry of the audit log: who did what, from where, why, and what came of it (decisions §10).
package struct AuditEntry: Hashable, Sendable {
    package var at: Instant
    package var dealerID: DealerID?
    package var siteID: SiteID?
    package var actor: Actor
    /// What was done, as noun and verb, for example `arming.report`.
    package var action: String
    /// What it was done to, by id.
    package var target: String?
    /// `ok`, or the code of the refusal.
    package var result: String
    /// Why, in words that a person can read (I22).
    package var explanation: String
    /// What set it off, for example `report`, `request` or `deadline`.
    package var cause: String
    package var requestID: String?
    /// The caller's own `x-partner-trace-id`.
    package var traceID: String?
    package var address: String?
    /// What else is worth keeping; never a secret.
    package var details: AuditDetails
    /// Whether it tells of a change of the site's arming state, and so is a part of the site's history.
    package var changesState: Bool

    package init(
        at: Instant,
        dealerID: DealerID?,
        siteID: SiteID? = nil,
        actor: Actor,
        action: String,
        target: String? = nil,
        result: String = "ok",
        explanation: String,
        cause: String,
        requestID: String? = nil,
        traceID: String? = nil,
        address: String? = nil,
        details: JSONObject = [:],
        changesState: Bool = false
    ) {
        self.at = at
        self.dealerID = dealerID
        self.siteID = siteID
        self.actor = actor
        self.action = action
        self.target = target
        self.result = result
        self.explanation = explanation
        self.cause = cause
        self.requestID = requestID
        self.traceID = traceID
        self.address = address
        self.details = AuditDetails(details)
        self.changesState = changesState
    }

    /// Who acted.
    package struct Actor: Hashable, Sendable {
        package enum Kind: String, Sendable {
            case admin
            case app
            case partner
            case person
            case schedule
            case system
        }

        package var kind: Kind
        package var id: String

        package init(_ kind: Kind, _ id: String) {
            self.kind = kind
            self.id = id
        }

        package static let system = Actor(.system, "tocsin")
    }
}

/// What a partner is counted for (decisions §4).
package enum ScorecardMark: String, CaseIterable, Sendable {
    /// A report reached us more than 5 s after what it tells of.
    case lateReport = "late_reports"
    /// An announced delay differs from the partition's configuration.
    case delayMismatch = "delay_mismatch"
    /// A report's timestamp lay in our future.
    case clockAhead = "clock_ahead"
    /// An arming was announced and its outcome never told.
    case overdue = "overdue"
    /// A report was refused as an invalid transition.
    case invalidTransition = "invalid_transitions"
}
