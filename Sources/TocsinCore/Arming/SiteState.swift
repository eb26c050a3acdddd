/// The arming state of a site's partitions, in the order of the site's configuration.
///
/// Every step works on a copy and is compared with what it began with, so copies share what they hold until one of them is
/// changed.
package struct SiteState: Hashable, Sendable {
    private struct Parts: Hashable, Sendable {
        var partitions: PartitionStates
        var zones: [ZoneID: ZoneState] = [:]
        var schedules: [ScheduleID: ScheduleState] = [:]
        var offline: [DeviceID: Instant] = [:]
        var relays: [RelayID: RelayState] = [:]
        var codeUses: [UserID: Int] = [:]
        var pendingCommands: [PendingCommand] = []
        var commandsAsked: Int64 = 0
        var verifications: [IncidentID: Instant] = [:]
        var raised: [RaisedAlarm] = []
        var lateToldAt: Instant?
        var nextIncident: Int64 = 1
        var codedCommands: Int64 = 0
        var looks: Int64 = 0
    }

    /// Sendable: changed only while one state alone holds it, so that no two threads can meet in it.
    private final class Box: @unchecked Sendable {
        // Reached only through the state that holds it, where the compiler checks who is at it; so nobody else need.
        @exclusivity(unchecked) var parts: Parts

        init(_ parts: Parts) { self.parts = parts }
    }

    private var box: Box

    package init(partitions: [PartitionID: PartitionState] = [:]) {
        box = Box(Parts(partitions: PartitionStates(partitions)))
    }

    private mutating func own() {
        if !isKnownUniquelyReferenced(&box) { box = Box(box.parts) }
    }

    package static func == (a: Self, b: Self) -> Bool { a.box === b.box || a.box.parts == b.box.parts }
    package func hash(into hasher: inout Hasher) { hasher.combine(box.parts) }

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

extension SiteState: CustomReflectable {
    /// Its members, as if it held them itself.
    package var customMirror: Mirror { Mirror(reflecting: box.parts) }
}

extension SiteState {
    package var partitions: PartitionStates {
        _read { yield box.parts.partitions }
        _modify {
            own()
            yield &box.parts.partitions
        }
    }

    /// Zones that have reported; one that has not counts as closed.
    package var zones: [ZoneID: ZoneState] {
        _read { yield box.parts.zones }
        _modify {
            own()
            yield &box.parts.zones
        }
    }

    package var schedules: [ScheduleID: ScheduleState] {
        _read { yield box.parts.schedules }
        _modify {
            own()
            yield &box.parts.schedules
        }
    }

    /// Devices that are offline, with their last sign of life (decisions §7).
    package var offline: [DeviceID: Instant] {
        _read { yield box.parts.offline }
        _modify {
            own()
            yield &box.parts.offline
        }
    }

    /// Relays that are on.
    package var relays: [RelayID: RelayState] {
        _read { yield box.parts.relays }
        _modify {
            own()
            yield &box.parts.relays
        }
    }

    /// How often each limited code was used.
    package var codeUses: [UserID: Int] {
        _read { yield box.parts.codeUses }
        _modify {
            own()
            yield &box.parts.codeUses
        }
    }

    /// In the order in which they came.
    package var pendingCommands: [PendingCommand] {
        _read { yield box.parts.pendingCommands }
        _modify {
            own()
            yield &box.parts.pendingCommands
        }
    }

    /// Counts the commands that were put to the partner: makes their ids.
    package var commandsAsked: Int64 {
        _read { yield box.parts.commandsAsked }
        _modify {
            own()
            yield &box.parts.commandsAsked
        }
    }

    /// Until when an answer is awaited on an alarm that is to be verified (decisions §6).
    package var verifications: [IncidentID: Instant] {
        _read { yield box.parts.verifications }
        _modify {
            own()
            yield &box.parts.verifications
        }
    }

    /// Alarms that were raised by request and are not resolved, at most one in a place.
    package var raised: [RaisedAlarm] {
        _read { yield box.parts.raised }
        _modify {
            own()
            yield &box.parts.raised
        }
    }

    /// When the site's admins were last told that its partner reports late.
    package var lateToldAt: Instant? {
        _read { yield box.parts.lateToldAt }
        _modify {
            own()
            yield &box.parts.lateToldAt
        }
    }

    /// The id that the next incident gets.
    package var nextIncident: Int64 {
        _read { yield box.parts.nextIncident }
        _modify {
            own()
            yield &box.parts.nextIncident
        }
    }

    /// Counts commands that carried a code, so that every one of them is a change of the site, whatever it did.
    ///
    /// Otherwise the version of the site would tell a duress code from the ordinary one (I17).
    package var codedCommands: Int64 {
        _read { yield box.parts.codedCommands }
        _modify {
            own()
            yield &box.parts.codedCommands
        }
    }

    /// Counts stored changes that nobody outside sees, such as the plan of a schedule: the version that callers are shown
    /// leaves them out, so that what was read just now can be changed just now.
    package var looks: Int64 {
        _read { yield box.parts.looks }
        _modify {
            own()
            yield &box.parts.looks
        }
    }
}
