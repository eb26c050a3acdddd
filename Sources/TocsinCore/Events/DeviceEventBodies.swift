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
