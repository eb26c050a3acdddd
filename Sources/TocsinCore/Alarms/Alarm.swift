/// How urgent an alarm is (decisions §6).
package enum AlarmPriority: String, CaseIterable, Sendable {
    case low = "LOW"
    case medium = "MEDIUM"
    case high = "HIGH"
    case critical = "CRITICAL"
}

/// What kind of incident an alarm is; one per partition and class is open at a time (decisions §6).
package enum AlarmClass: String, CaseIterable, Sendable {
    case intrusion
    case tamper
    case panic
    case duress
    case fire
    case medical
    case environment
}

/// An alarm that a decision creates; its number is given by the commit.
package struct AlarmDraft: Hashable, Sendable {
    package var partitionID: PartitionID?
    package var alarmClass: AlarmClass
    package var priority: AlarmPriority
    package var trigger: String
    package var location: String?
    /// The incident of the arming machine that it tells of; by it later events find the alarm's number.
    package var incident: IncidentID?

    package init(
        partitionID: PartitionID?,
        alarmClass: AlarmClass,
        priority: AlarmPriority,
        trigger: String,
        location: String?,
        incident: IncidentID? = nil
    ) {
        self.incident = incident
        self.partitionID = partitionID
        self.alarmClass = alarmClass
        self.priority = priority
        self.trigger = trigger
        self.location = location
    }
}

/// Names an alarm that exists, or one that the same decision creates.
package enum AlarmReference: Hashable, Sendable {
    case existing(AlarmNumber)
    /// The alarm at this position of the decision's new alarms.
    case new(Int)
    /// The alarm of an incident, whose number the commit finds.
    case incident(IncidentID)
}

/// A change of an alarm that the arming machine makes (T28).
package struct AlarmChange: Hashable, Sendable {
    package var incident: IncidentID
    package var priority: AlarmPriority

    package init(incident: IncidentID, priority: AlarmPriority) {
        self.incident = incident
        self.priority = priority
    }
}
