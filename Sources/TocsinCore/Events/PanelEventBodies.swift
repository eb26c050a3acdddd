/// An arming by schedule is near (T38).
package struct ArmingWarning: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var scheduleID: ScheduleID
    package var mode: String
    package var at: Instant
    package var postponableUntil: Instant?
    package var message: String

    package init(
        siteID: SiteID,
        partitionID: PartitionID,
        scheduleID: ScheduleID,
        mode: String,
        at: Instant,
        postponableUntil: Instant?,
        message: String
    ) {
        self.siteID = siteID
        self.partitionID = partitionID
        self.scheduleID = scheduleID
        self.mode = mode
        self.at = at
        self.postponableUntil = postponableUntil
        self.message = message
    }
}

/// The premises were opened or closed outside their hours, or not at all (T41).
package struct ArmingException: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case earlyOpen = "early_open"
        case lateClose = "late_close"
        case failToOpen = "fail_to_open"
        case failToClose = "fail_to_close"
    }

    package var siteID: SiteID
    package var partitionID: PartitionID
    package var kind: Kind
    package var message: String
    package var by: Attribution?
}

/// A schedule rule could not be carried out (T39, T40).
package struct ScheduleFailed: Hashable, Sendable {
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var scheduleID: ScheduleID
    /// `arm_away`, …, `disarm`.
    package var action: String
    package var dueAt: Instant
    package var message: String
    package var reasons: [ArmFailureReason]
}

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
