import TocsinJSON

/// A partition's phase changed (the arming document's flat form).
package struct ArmingStateChanged: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var newState: String
    package var previousState: String
    /// When it happened: on a partner's site the partner's word.
    package var timestamp: Instant
    package var triggeredBy: String
    package var source: Source

    package init(
        siteID: SiteID,
        partitionID: PartitionID,
        newState: String,
        previousState: String,
        timestamp: Instant,
        triggeredBy: String,
        source: Source
    ) {
        self.siteID = siteID
        self.partitionID = partitionID
        self.newState = newState
        self.previousState = previousState
        self.timestamp = timestamp
        self.triggeredBy = triggeredBy
        self.source = source
    }
}

extension ArmingStateChanged: EventPayload {
    /// Flat, with the arming document's members first and in its order; `id`, `partition_id`, `sequence` are ours.
    package static let members: [EventMember<Self>] = [
        .required(
            "event_type",
            "What it is.",
            form: .words([EventType.armingStateChanged.rawValue]),
            example: "arming.state_changed"
        ) { _ in EventType.armingStateChanged },
        .site { $0.siteID },
        .required("new_state", "The state that the partition is in now.", form: phase, example: "armed_away") {
            $0.newState
        },
        .required("previous_state", "The state before.", form: phase, example: "arming_in_progress") {
            $0.previousState
        },
        .required("timestamp", "When it happened.", example: "2026-05-26T10:21:33Z") { $0.timestamp },
        .required("triggered_by", "The user, app or schedule; where there is none, the source.", example: "user_123") {
            $0.triggeredBy
        },
        .required("source", "Where it was done.", example: "mobile_app") { $0.source },
        .placed("id", "Names the event, the same on every attempt.", example: "evt_2hKqx9") { $0.id },
        .partition { $0.partitionID },
        .placed("sequence", "The event's number in its dealer's log.", example: 17) { $0.sequence },
    ]

    /// What a partition's state may be, as the arming document names it.
    private static let phase = EventForm.words(
        ReportedState.allCases.filter { $0 != .armFailure }.map(\.rawValue)
    )
}

/// A partition entered `armed_*`.
package struct PartitionArmed: Hashable, Sendable {
    package var partitionID: PartitionID
    package var siteID: SiteID
    package var mode: String
    package var by: String

    package init(partitionID: PartitionID, siteID: SiteID, mode: String, by: String) {
        self.partitionID = partitionID
        self.siteID = siteID
        self.mode = mode
        self.by = by
    }
}

extension PartitionArmed: EventPayload {
    package static let members: [EventMember<Self>] = [
        .partition { $0.partitionID },
        .site { $0.siteID },
        .mode { $0.mode },
        .required(
            "by",
            "Who did it: a user on the spot, a schedule, or somebody from afar.",
            form: by,
            example: "schedule"
        ) {
            $0.by
        },
    ]

    /// The words of ``Source/by``.
    fileprivate static let by = EventForm.words(["user", "schedule", "remote"])
}

/// A partition entered `disarmed`.
package struct PartitionDisarmed: Hashable, Sendable {
    package var partitionID: PartitionID
    package var siteID: SiteID
    package var by: String
    package var operatorID: String?
}

extension PartitionDisarmed: EventPayload {
    package static let members: [EventMember<Self>] = [
        .partition { $0.partitionID },
        .site { $0.siteID },
        .required(
            "by",
            "Who did it: a user on the spot, a schedule, or somebody from afar.",
            form: PartitionArmed.by,
            example: "user"
        ) { $0.by },
        .operatorID("The person, where there is one.") { $0.operatorID },
    ]
}
