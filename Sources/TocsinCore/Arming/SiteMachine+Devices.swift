/// What a device's silence or return comes to.
package struct DeviceOutcome: Hashable, Sendable {
    /// Tells of it; comes before the effects.
    package var event: EventBody
    package var effects: [ArmingEffect]
}

extension SiteMachine {
    /// A device gave no sign of life for ``Device/silence``: its zones become unknown (T44).
    ///
    /// - Parameters:
    ///   - device: Its id.
    ///   - lastSeenAt: Its last sign of life.
    ///   - now: When the silence was noticed.
    /// - Returns: The event and what follows; none if the device counts as offline already.
    package mutating func deviceFellSilent(
        _ device: DeviceID,
        lastSeenAt: Instant,
        at now: Instant
    ) -> DeviceOutcome? {
        guard state.offline[device] == nil else { return nil }
        state.offline[device] = lastSeenAt
        let event = DeviceOffline(deviceID: device, siteID: configuration.site.id, lastSeenAt: lastSeenAt)
        return DeviceOutcome(
            event: .deviceOffline(event),
            effects: self.device(device, isOffline: true, at: now)
        )
    }

    /// A device that was offline gave a sign of life; `downtime_seconds` is worked out in milliseconds and rounded down
    /// (decisions §14).
    ///
    /// - Parameters:
    ///   - device: Its id.
    ///   - seenAt: The sign of life.
    ///   - now: When it is decided.
    /// - Returns: The event and what follows; none if the device does not count as offline.
    package mutating func deviceReturned(_ device: DeviceID, seenAt: Instant, at now: Instant) -> DeviceOutcome? {
        guard let lastSeenAt = state.offline.removeValue(forKey: device) else { return nil }
        let event = DeviceOnline(
            deviceID: device,
            siteID: configuration.site.id,
            downtimeSeconds: Int(max(0, (seenAt - lastSeenAt).milliseconds) / 1000)
        )
        return DeviceOutcome(
            event: .deviceOnline(event),
            effects: self.device(device, isOffline: false, at: now)
        )
    }

    /// The device is about to be taken away: what it said of its zones is forgotten, and nothing is told.
    package mutating func deviceRemoved(_ device: DeviceID, at now: Instant) -> [ArmingEffect] {
        guard state.offline.removeValue(forKey: device) != nil else { return [] }
        return self.device(device, isOffline: false, at: now)
    }
}

extension PanelStep {
    /// Zones may hang on other devices now, and devices may be gone: a zone is offline while its device is.
    ///
    /// Nothing is told: whoever changed the configuration knows.
    mutating func alignDevices() {
        if state.offline.isEmpty, !state.zones.values.contains(where: \.isOffline) { return }
        state.offline = state.offline.filter { site.devices.contains($0.key) }
        for zone in site.zones {
            let isOffline = zone.deviceID.map { state.offline[$0] != nil } ?? false
            if (state.zones[zone.id]?.isOffline ?? false) != isOffline {
                state.zones[zone.id, default: ZoneState()].isOffline = isOffline
            }
        }
    }
}
