import TocsinJSON

/// A partner did not take a command (decisions §5).
package struct SyncFailed: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID?
    /// `arm_away`, …, `disarm`.
    package var command: String
    package var commandID: EventID
    /// `partner_unreachable` or `partner_rejected`.
    package var reason: String
    package var message: String
}

extension SyncFailed: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .optional("partition_id", "The partition, where the command was about one.", example: "p_abc") {
            $0.partitionID
        },
        .required("command", "What was asked of the partner.", form: .armingAction, example: "disarm") { $0.command },
        .required("command_id", "The `id` under which it was asked.", example: "evt_2hKqwZ") { $0.commandID },
        .required(
            "reason",
            "Whether there was no answer or a refusal.",
            form: .words(["partner_unreachable", "partner_rejected"]),
            example: "partner_unreachable"
        ) { $0.reason },
        .message("PanelCo did not answer within 5 s; House was disarmed all the same") { $0.message },
    ]
}

/// A partner's report came later after what it tells of than the contract allows (decisions §4).
package struct SyncLate: Hashable, Sendable {
    package var siteID: SiteID
    /// None where the report was for all partitions.
    package var partitionID: PartitionID?
    /// What was reported.
    package var state: String
    /// When it happened, in the partner's word.
    package var timestamp: Instant
    /// How long after that it reached us.
    package var lateByMilliseconds: Int64
    package var message: String

    package init(
        siteID: SiteID,
        partitionID: PartitionID?,
        state: String,
        timestamp: Instant,
        lateByMilliseconds: Int64,
        message: String
    ) {
        self.siteID = siteID
        self.partitionID = partitionID
        self.state = state
        self.timestamp = timestamp
        self.lateByMilliseconds = lateByMilliseconds
        self.message = message
    }
}

extension SyncLate: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .optional("partition_id", "The partition, where the report was about one.", example: "p_abc") {
            $0.partitionID
        },
        .required(
            "state",
            "What was reported.",
            form: .words(ReportedState.allCases.map(\.rawValue)),
            example: "armed_away"
        ) { $0.state },
        .required("timestamp", "When it happened, in the partner's word.", example: "2026-05-26T10:21:20Z") {
            $0.timestamp
        },
        .required("late_by_ms", "How long after that it was received, in milliseconds.", example: 13_870) {
            $0.lateByMilliseconds
        },
        .message("The report came 13 s after what it tells of; the contract allows 5 s") { $0.message },
    ]
}

/// A partner announced an arming and never told its outcome (decisions §4).
package struct SyncOverdue: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var state: String
    package var since: Instant
    package var message: String
}

extension SyncOverdue: EventPayload {
    package static let members: [EventMember<Self>] = [
        .site { $0.siteID },
        .partition { $0.partitionID },
        .required("state", "The state that was announced.", example: "arming_in_progress") { $0.state },
        .required("since", "Since when.", example: "2026-05-26T10:20:29Z") { $0.since },
        .message("House has been arming for 65 s and the partner has not told the outcome") { $0.message },
    ]
}
