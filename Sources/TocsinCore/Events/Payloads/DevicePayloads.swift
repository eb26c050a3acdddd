import TocsinJSON

/// A device that was told as offline gave a sign of life again (decisions §7).
package struct DeviceOnline: Hashable, Sendable {
    package var deviceID: DeviceID
    package var siteID: SiteID
    package var previousStatus: String
    /// Whole seconds since the last sign of life before.
    package var downtimeSeconds: Int

    package init(deviceID: DeviceID, siteID: SiteID, previousStatus: String = "offline", downtimeSeconds: Int) {
        self.deviceID = deviceID
        self.siteID = siteID
        self.previousStatus = previousStatus
        self.downtimeSeconds = downtimeSeconds
    }
}

extension DeviceOnline: EventPayload {
    package static let members: [EventMember<Self>] = [
        .device { $0.deviceID },
        .site { $0.siteID },
        .required("previous_status", "What it was before.", example: "offline") { $0.previousStatus },
        .required("downtime_seconds", "Whole seconds since its last sign of life before.", example: 142) {
            $0.downtimeSeconds
        },
    ]
}

/// A device gave no sign of life for 60 s (decisions §7).
package struct DeviceOffline: Hashable, Sendable {
    package var deviceID: DeviceID
    package var siteID: SiteID
    package var lastSeenAt: Instant

    package init(deviceID: DeviceID, siteID: SiteID, lastSeenAt: Instant) {
        self.deviceID = deviceID
        self.siteID = siteID
        self.lastSeenAt = lastSeenAt
    }
}

extension DeviceOffline: EventPayload {
    package static let members: [EventMember<Self>] = [
        .device { $0.deviceID },
        .site { $0.siteID },
        .required("last_seen_at", "Its last sign of life.", example: "2026-05-26T10:20:34Z") { $0.lastSeenAt },
    ]
}

/// A device tells another firmware than before.
package struct DeviceFirmwareUpdated: Hashable, Sendable {
    package var deviceID: DeviceID
    package var siteID: SiteID
    /// None where the device has not told one before.
    package var previousVersion: String?
    package var version: String

    package init(deviceID: DeviceID, siteID: SiteID, previousVersion: String?, version: String) {
        self.deviceID = deviceID
        self.siteID = siteID
        self.previousVersion = previousVersion
        self.version = version
    }
}

extension DeviceFirmwareUpdated: EventPayload {
    package static let members: [EventMember<Self>] = [
        .device { $0.deviceID },
        .site { $0.siteID },
        .optional("previous_version", "The firmware before, if it was known.", example: "4.1.0") {
            $0.previousVersion
        },
        .required("version", "The firmware that it runs now.", example: "4.2.0") { $0.version },
    ]
}

/// An image or a video is there to look at until its address dies (decisions §7).
package struct SnapshotCreated: Hashable, Sendable {
    package var snapshotID: SnapshotID
    package var deviceID: DeviceID
    package var alarm: AlarmReference?
    package var url: String
    package var expiresAt: Instant

    package init(
        snapshotID: SnapshotID,
        deviceID: DeviceID,
        alarm: AlarmReference?,
        url: String,
        expiresAt: Instant
    ) {
        self.snapshotID = snapshotID
        self.deviceID = deviceID
        self.alarm = alarm
        self.url = url
        self.expiresAt = expiresAt
    }
}

extension SnapshotCreated: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("snapshot_id", "The snapshot.", example: "snap_91kxl2") { $0.snapshotID },
        .device { $0.deviceID },
        .optional("alarm_id", "The alarm that it belongs to, if it belongs to one.", example: "A-10293") { $0.alarm },
        .required(
            "url",
            "Where it is; whoever holds the address may fetch it.",
            form: .url,
            example: "https://tocsin.example/media/snap_91kxl2"
        ) { $0.url },
        .required("expires_at", "When the address dies, 24 hours after the snapshot.", example: "2026-05-27T10:21:34Z")
        {
            $0.expiresAt
        },
    ]
}

/// What switched a relay (decisions §7).
package enum RelayTrigger: Hashable, Sendable {
    case alarm(AlarmReference)
    case schedule(ScheduleID)
    /// By hand, of this person, app or partner.
    case manual(String)

    /// `alarm.created:A-10293`, `schedule:sch_…` or `manual:op_…`.
    func text(at place: EventPlace) -> String {
        switch self {
        case .alarm(let alarm): "\(EventType.alarmCreated.rawValue):\(place.text(of: alarm))"
        case .schedule(let id): "schedule:\(id)"
        case .manual(let id): "manual:\(id)"
        }
    }
}

/// A relay was switched on for a while.
package struct RelayActivated: Hashable, Sendable {
    package var relayID: RelayID
    package var deviceID: DeviceID?
    package var durationSeconds: Int
    package var trigger: RelayTrigger

    package init(relayID: RelayID, deviceID: DeviceID?, durationSeconds: Int, trigger: RelayTrigger) {
        self.relayID = relayID
        self.deviceID = deviceID
        self.durationSeconds = durationSeconds
        self.trigger = trigger
    }
}

extension RelayActivated: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("relay_id", "The relay.", example: "rel_4kj") { $0.relayID },
        .optional("device_id", "The device that it is a part of.", example: "dev_8h2j3kfm") { $0.deviceID },
        .required("duration_seconds", "How long it stays on.", example: 30) { $0.durationSeconds },
        .required(
            "trigger",
            "What switched it: `alarm.created:A-…`, `schedule:sch_…`, or `manual:` and who.",
            example: "alarm.created:A-10293"
        ) { $0.trigger },
    ]
}

extension RelayTrigger: EventValue {
    package static var form: EventForm { .text }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.string(text(at: place)) }
}
