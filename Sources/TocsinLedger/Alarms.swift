import TocsinCore

/// Which alarms a list shows.
package struct AlarmFilter: Sendable {
    package var dealerID: DealerID?
    package var siteID: SiteID?
    package var state: AlarmState?
    package var priority: AlarmPriority?
    package var alarmClass: AlarmClass?
    /// Only those raised at this instant or later.
    package var since: Instant?

    package init(
        dealerID: DealerID? = nil,
        siteID: SiteID? = nil,
        state: AlarmState? = nil,
        priority: AlarmPriority? = nil,
        alarmClass: AlarmClass? = nil,
        since: Instant? = nil
    ) {
        self.dealerID = dealerID
        self.siteID = siteID
        self.state = state
        self.priority = priority
        self.alarmClass = alarmClass
        self.since = since
    }
}

/// Which alarms of a site a decision may touch.
package struct AlarmNeeds: Hashable, Sendable {
    /// A place that one open incident has (decisions §6).
    package struct Slot: Hashable, Sendable {
        package var partitionID: PartitionID
        package var alarmClass: AlarmClass
        package var isSilent: Bool

        package init(partitionID: PartitionID, alarmClass: AlarmClass, isSilent: Bool) {
            self.partitionID = partitionID
            self.alarmClass = alarmClass
            self.isSilent = isSilent
        }
    }

    package var incidents: Set<IncidentID>
    /// Of each the newest alarm that is not resolved, if there is one.
    package var slots: Set<Slot>
    /// Of each the newest alarm that is not resolved, if there is one.
    package var devices: Set<DeviceID>

    package init(incidents: Set<IncidentID> = [], slots: Set<Slot> = [], devices: Set<DeviceID> = []) {
        self.incidents = incidents
        self.slots = slots
        self.devices = devices
    }

    package static let none = AlarmNeeds()

    package var isEmpty: Bool { incidents.isEmpty && slots.isEmpty && devices.isEmpty }

    package mutating func formUnion(_ other: AlarmNeeds) {
        incidents.formUnion(other.incidents)
        slots.formUnion(other.slots)
        devices.formUnion(other.devices)
    }
}

/// Alarms are only changed by decisions: there is no writer beside ``Ledger/commit(_:)``.
package protocol AlarmReader {
    /// Newest first.
    func alarms(within reach: Reach, filter: AlarmFilter, page: PageRequest) throws -> Page<Alarm>
    func alarm(_ number: AlarmNumber, of dealer: DealerID, within reach: Reach) throws -> Alarm?
    /// The alarm of a site's incident; asked by those who may see the site already.
    func alarm(_ incident: IncidentID, of site: SiteID) throws -> Alarm?
    /// What a decision on the site may touch.
    func alarms(of site: SiteID, _ needs: AlarmNeeds) throws -> [Alarm]
    /// The newest entries of an alarm's timeline, in their order.
    func timeline(of number: AlarmNumber, of dealer: DealerID, limit: Int) throws -> [AlarmEntry]
    /// The newest alarm of the site that is neither resolved nor hidden, if there is one.
    func unresolvedAlarm(of site: SiteID) throws -> Alarm?
}
