/// Further zones tripped into an alarm that is open (T29).
package struct AlarmActivity: Hashable, Sendable {
    package struct Zone: Hashable, Sendable {
        package var number: Int
        package var name: String

        package init(number: Int, name: String) {
            self.number = number
            self.name = name
        }
    }

    package var alarm: AlarmReference
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var zones: [Zone]
    /// Two independent detectors have tripped (T30).
    package var isVerified: Bool
}

extension EventBody {
    /// The incident by which the event names its alarm, where it has no number yet to name.
    package var incident: IncidentID? {
        let alarm: AlarmReference
        switch self {
        case .alarmActivity(let body): alarm = body.alarm
        case .alarmAnnotated(let body): alarm = body.alarm
        case .alarmCreated, .armingStateChanged, .partitionArmed, .partitionDisarmed, .armingFailed, .armingWarning,
            .armingException, .scheduleFailed, .syncFailed, .syncOverdue, .endpointDisabled, .endpointFailing,
            .testPing:
            return nil
        }
        if case .incident(let id) = alarm { return id }
        return nil
    }
}

/// Something was written to an alarm; here by the panel itself, when a disarm cancels it (T28).
package struct AlarmAnnotated: Hashable, Sendable {
    package var alarm: AlarmReference
    package var siteID: SiteID
    package var source: String
    package var verdict: String?
    package var notes: String?
}

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
