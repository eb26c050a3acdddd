/// The arming state of a site's partitions, in the order of the site's configuration.
package struct SiteState: Hashable, Sendable {
    package var partitions: PartitionStates
    /// Zones that have reported; one that has not counts as closed.
    package var zones: [ZoneID: ZoneState] = [:]
    package var schedules: [ScheduleID: ScheduleState] = [:]
    /// Devices that are offline, with their last sign of life (decisions §7).
    package var offline: [DeviceID: Instant] = [:]
    /// Relays that are on.
    package var relays: [RelayID: RelayState] = [:]
    /// How often each limited code was used.
    package var codeUses: [UserID: Int] = [:]
    /// In the order in which they came.
    package var pendingCommands: [PendingCommand] = []
    /// Counts the commands that were put to the partner: makes their ids.
    package var commandsAsked: Int64 = 0
    /// Until when an answer is awaited on an alarm that is to be verified (decisions §6).
    package var verifications: [IncidentID: Instant] = [:]
    /// Alarms that were raised by request and are not resolved, at most one in a place.
    package var raised: [RaisedAlarm] = []
    /// When the site's admins were last told that its partner reports late.
    package var lateToldAt: Instant?
    /// The id that the next incident gets.
    package var nextIncident: Int64 = 1
    /// Counts commands that carried a code, so that every one of them is a change of the site, whatever it did.
    ///
    /// Otherwise the version of the site would tell a duress code from the ordinary one (I17).
    package var codedCommands: Int64 = 0
    /// Counts stored changes that nobody outside sees, such as the plan of a schedule: the version that callers are shown
    /// leaves them out, so that what was read just now can be changed just now.
    package var looks: Int64 = 0

    package init(partitions: [PartitionID: PartitionState] = [:]) { self.partitions = PartitionStates(partitions) }

    /// The earliest deadline of all: what the site must be woken for.
    package var nextDeadline: Instant? {
        var earliest = Earliest()
        for index in partitions.values.indices { earliest.consider(partitions.values[index].nextDeadline) }
        for zone in zones.values { earliest.consider(zone.pendingUntil) }
        for schedule in schedules.values { earliest.consider(schedule.nextDeadline) }
        for command in pendingCommands { earliest.consider(command.expiresAt) }
        for deadline in verifications.values { earliest.consider(deadline) }
        for relay in relays.values { earliest.consider(relay.until) }
        return earliest.instant
    }
}
