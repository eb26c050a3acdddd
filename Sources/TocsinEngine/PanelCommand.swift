import TocsinCore
import TocsinJSON
import TocsinLedger

/// Who asks for something, from where, and how the audit log names it.
package struct Request: Sendable {
    package var siteID: SiteID
    /// How far the caller sees: beyond it there is no such site.
    package var reach: Reach
    package var actor: AuditEntry.Actor
    /// When the last byte of the request was read: what decides against a deadline.
    package var receivedAt: Instant
    package var requestID: String
    package var traceID: String?
    package var address: String?
    package var idempotency: IdempotencyTicket?
    /// What its site waits for until it is there; none if nobody does.
    package var arrival: Arrivals.Arrival?

    package init(
        siteID: SiteID,
        reach: Reach,
        actor: AuditEntry.Actor,
        receivedAt: Instant,
        requestID: String,
        traceID: String? = nil,
        address: String? = nil,
        idempotency: IdempotencyTicket? = nil,
        arrival: Arrivals.Arrival? = nil
    ) {
        self.siteID = siteID
        self.reach = reach
        self.actor = actor
        self.receivedAt = receivedAt
        self.requestID = requestID
        self.traceID = traceID
        self.address = address
        self.idempotency = idempotency
        self.arrival = arrival
    }
}

/// A command on a platform-triggered site on its way to the site engine (decisions §5).
package struct PanelCommand: Sendable {
    package var request: Request
    package var command: ArmingCommand
    /// The versions that the command is meant for (`If-Match`); none asks for no particular one.
    package var ifMatch: [Int64]?
    /// Makes the 200 reply of the site as it is after the command.
    package var render: @Sendable (SiteRecord) -> [UInt8]

    package init(
        _ command: ArmingCommand,
        request: Request,
        ifMatch: [Int64]? = nil,
        render: @escaping @Sendable (SiteRecord) -> [UInt8]
    ) {
        self.request = request
        self.command = command
        self.ifMatch = ifMatch
        self.render = render
    }
}

/// What became of a command.
package enum PanelResult: Sendable {
    /// Durable; `version` is the site's after it.
    case done(reply: [UInt8], version: Int64)
    case refused(CommandRefusal)
    /// 412: the site is of another version than the caller has seen.
    case versionConflict(current: Int64)
    /// There is no such site, or not for this caller.
    case unknownSite
    /// The site's arming state is its partner's (decisions §3).
    case wrongAuthority
    /// The idempotency key is stored already, under this record.
    case knownKey(IdempotencyRecord)
}

/// Moves or leaves out the next run of a schedule (design, arming: T38).
package struct ScheduleCommand: Sendable {
    package enum Action: Hashable, Sendable {
        case postpone(minutes: Int)
        case skip
    }

    package var request: Request
    package var scheduleID: ScheduleID
    package var action: Action
    package var by: Attribution
    /// Makes the 200 reply of the site as it is after the command.
    package var render: @Sendable (SiteRecord) -> [UInt8]

    package init(
        _ action: Action,
        of scheduleID: ScheduleID,
        by: Attribution,
        request: Request,
        render: @escaping @Sendable (SiteRecord) -> [UInt8]
    ) {
        self.action = action
        self.scheduleID = scheduleID
        self.by = by
        self.request = request
        self.render = render
    }
}

/// What became of it.
package enum ScheduleResult: Sendable {
    /// Durable.
    case done(reply: [UInt8])
    case refused(ScheduleRefusal)
    case unknownSite
    /// The site's partner arms it, and no schedule of ours (decisions §3).
    case wrongAuthority
    case knownKey(IdempotencyRecord)
}

/// What zones and devices of a site report, on its way to the site engine (decisions §6).
package struct SignalBatch: Sendable {
    package var request: Request
    package var signals: [Signal]
    /// The snapshots that they name, if they are the site's and belong to no alarm yet.
    package var snapshots: [SnapshotID: NamedSnapshot]
    /// Makes the 202 reply.
    package var render: @Sendable ([SignalAnswer]) -> [UInt8]

    package init(
        _ signals: [Signal],
        snapshots: [SnapshotID: NamedSnapshot] = [:],
        request: Request,
        render: @escaping @Sendable ([SignalAnswer]) -> [UInt8]
    ) {
        self.snapshots = snapshots
        self.request = request
        self.signals = signals
        self.render = render
    }
}

/// What became of a batch of signals.
package enum SignalResult: Sendable {
    /// Durable.
    case accepted(reply: [UInt8])
    case unknownSite
    case knownKey(IdempotencyRecord)
}

extension Reach {
    /// Whether the reach covers the site.
    package func covers(_ site: Site) -> Bool {
        switch self {
        case .platform: true
        case .dealer(let id): site.dealerID == id
        case .partner(let id): site.partnerID == id
        }
    }
}

extension ArmingCommand {
    /// How the audit log names it.
    package var auditAction: String {
        switch action {
        case .arm: "arming.arm"
        case .disarm: "arming.disarm"
        case .skipExit: "arming.skip_exit"
        case .quickExit: "arming.quick_exit"
        case .silence: "arming.silence"
        }
    }
}

extension CommandRefusal {
    /// The `result` that the audit log keeps, and the error code of the reply.
    package var code: String {
        switch self {
        case .unknownPartition: "partition_not_found"
        case .versionConflict: "version_conflict"
        case .invalidCode: "invalid_user_code"
        case .codeLocked: "user_code_locked"
        case .armFailed: "arm_failed"
        case .notPermitted: "permission_denied"
        case .impossible: "invalid_transition"
        case .partnerUnreachable: "partner_unreachable"
        }
    }
}
