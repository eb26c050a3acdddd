/// A switched output of a site: a siren, a strobe, a gate's lock (decisions §7).
package struct Relay: Hashable, Sendable {
    /// Who carries out what is commanded.
    package enum Actuator: Hashable, Sendable {
        /// Nobody: the program's log tells of it.
        case log
        /// A bridge at the premises, that signed requests are posted to.
        ///
        /// The secret is sealed, and known here as text only.
        case webhook(url: String, sealedSecret: String)
    }

    /// For how long a relay may be switched on at a time: one that forgets its end must not sound for a night.
    package static let durationSeconds = 1...3600
    /// More outputs than any panel of the field switches; keeps a site small enough to load in one read.
    package static let maximumPerSite = 100
    /// Every alarm of the site is judged by all of them.
    package static let maximumRules = 20

    package var id: RelayID
    package var name: String
    /// The device that switches it.
    package var deviceID: DeviceID?
    package var rules: [RelayRule]
    package var actuator: Actuator

    package init(
        id: RelayID,
        name: String,
        deviceID: DeviceID? = nil,
        rules: [RelayRule] = [],
        actuator: Actuator = .log
    ) {
        self.id = id
        self.name = name
        self.deviceID = deviceID
        self.rules = rules
        self.actuator = actuator
    }

    /// For how long an alarm switches the relay on; none if none of its rules is meant.
    ///
    /// Of several rules the one holds that keeps it on for the longest.
    func seconds(for alarm: RelayAlarm, at site: SiteConfiguration) -> Int? {
        rules.filter { $0.covers(alarm, at: site) }.map(\.durationSeconds).max()
    }
}

/// Says which new alarms switch a relay on, and for how long; what is left out restricts nothing.
package struct RelayRule: Hashable, Sendable {
    package var priorities: Set<AlarmPriority>?
    package var classes: Set<AlarmClass>?
    /// By their numbers; an alarm of no partition is in none of them.
    package var partitions: Set<Int>?
    /// By their numbers; an alarm of no zone is in none of them.
    package var zones: Set<Int>?
    /// Whether it holds for silent alarms too: duress, and panic buttons that nobody is to see (decisions §7).
    package var includesSilent: Bool
    package var durationSeconds: Int

    package init(
        priorities: Set<AlarmPriority>? = nil,
        classes: Set<AlarmClass>? = nil,
        partitions: Set<Int>? = nil,
        zones: Set<Int>? = nil,
        includesSilent: Bool = false,
        durationSeconds: Int
    ) {
        self.priorities = priorities
        self.classes = classes
        self.partitions = partitions
        self.zones = zones
        self.includesSilent = includesSilent
        self.durationSeconds = durationSeconds
    }

    func covers(_ alarm: RelayAlarm, at site: SiteConfiguration) -> Bool {
        if alarm.isSilent && !includesSilent { return false }
        if let priorities, !priorities.contains(alarm.priority) { return false }
        if let classes, !classes.contains(alarm.alarmClass) { return false }
        if let partitions {
            let number = site.partitions.first { $0.id == alarm.partitionID }?.number
            guard let number, partitions.contains(number) else { return false }
        }
        if let zones {
            let numbers = alarm.zones.compactMap { site.zone($0)?.number }
            guard numbers.contains(where: zones.contains) else { return false }
        }
        return true
    }
}

/// A new alarm, as the rules of relays judge it.
package struct RelayAlarm: Hashable, Sendable {
    package var incident: IncidentID
    package var alarmClass: AlarmClass
    package var priority: AlarmPriority
    package var partitionID: PartitionID?
    package var zones: [ZoneID]
    package var isSilent: Bool

    package init(
        incident: IncidentID,
        alarmClass: AlarmClass,
        priority: AlarmPriority,
        partitionID: PartitionID?,
        zones: [ZoneID],
        isSilent: Bool
    ) {
        self.incident = incident
        self.alarmClass = alarmClass
        self.priority = priority
        self.partitionID = partitionID
        self.zones = zones
        self.isSilent = isSilent
    }
}

/// A relay that is on; one that is off has no state.
package struct RelayState: Hashable, Sendable {
    package var since: Instant
    /// It is off again at this instant exactly.
    package var until: Instant
    /// What the present end is owed to.
    package var trigger: RelayTrigger

    package init(since: Instant, until: Instant, trigger: RelayTrigger) {
        self.since = since
        self.until = until
        self.trigger = trigger
    }
}

/// What follows for a relay from an input: an event, a command to whoever switches it, or both.
package struct RelayEffect: Hashable, Sendable {
    package enum Order: Hashable, Sendable {
        case on(until: Instant, seconds: Int)
        case off
    }

    package var relayID: RelayID
    package var deviceID: DeviceID?
    /// The partition of the alarm that set it off.
    package var partitionID: PartitionID?
    /// None where the relay is on for longer already.
    package var order: Order?
    package var activated: RelayActivated?
    /// `relay.activate`, `relay.deactivate` or `relay.end`, for the audit log.
    package var action: String
    package var explanation: String
}

extension RelayRule {
    /// A partition that the rule names and the site does not have.
    package func unknownPartition(at site: SiteConfiguration) -> Int? {
        partitions?.subtracting(site.partitions.map(\.number)).min()
    }

    /// A zone that the rule names and the site does not have.
    package func unknownZone(at site: SiteConfiguration) -> Int? {
        zones?.subtracting(site.zones.map(\.number)).min()
    }
}
