import TocsinCore
import TocsinJSON
import TocsinLedger

/// Devices of a site gave no sign of life for a minute.
struct DeviceSilence: SiteTask {
    let siteID: SiteID
    let receivedAt: Instant
    let devices: [DeviceID]
    let registry: DeviceRegistry

    var request: Request? { nil }

    /// Asks once more who is silent: one may have been seen since.
    func decide(_ plan: inout Plan) -> [DeviceID: DeviceTable.Verdict] {
        var verdicts: [DeviceID: DeviceTable.Verdict] = [:]
        for device in devices {
            if !plan.record.configuration.devices.contains(device) {
                verdicts[device] = .gone
            } else if let since = plan.machine.state.offline[device] {
                verdicts[device] = .offline(since: since)
            } else if let since = registry.silentSince(device, at: receivedAt) {
                plan.fellSilent(device, lastSeenAt: since, at: receivedAt)
                verdicts[device] = .offline(since: since)
            } else {
                verdicts[device] = .online
            }
        }
        return verdicts
    }
}

/// Devices of a site that were offline have been seen.
struct DeviceReturn: SiteTask {
    let siteID: SiteID
    let receivedAt: Instant
    let devices: [(id: DeviceID, seenAt: Instant)]

    var request: Request? { nil }

    func decide(_ plan: inout Plan) {
        for device in devices { plan.returned(device.id, seenAt: device.seenAt, at: receivedAt) }
    }
}

/// A device tells another firmware than before, or its first.
package struct DeviceFirmware: SiteTask {
    package let siteID: SiteID
    package let receivedAt: Instant
    package let request: Request?
    let device: DeviceID
    let previous: String?
    let version: String

    /// Takes what the device told before, none if this is the first time.
    package init(_ version: String, after previous: String?, of device: DeviceID, request: Request) {
        siteID = request.siteID
        receivedAt = request.receivedAt
        self.request = request
        self.device = device
        self.previous = previous
        self.version = version
    }

    package func decide(_ plan: inout Plan) { plan.toldFirmware(version, after: previous, of: device, request) }
}

/// A device is about to be deleted: what it said of its zones is forgotten.
package struct DeviceRemoval: SiteTask {
    package let siteID: SiteID
    package let receivedAt: Instant
    package let request: Request?
    let device: DeviceID

    package init(_ device: DeviceID, request: Request) {
        siteID = request.siteID
        receivedAt = request.receivedAt
        self.request = request
        self.device = device
    }

    package func decide(_ plan: inout Plan) {
        plan.takeOwn(plan.machine.deviceRemoved(device, at: receivedAt))
    }
}

extension Plan {
    fileprivate mutating func fellSilent(_ device: DeviceID, lastSeenAt: Instant, at now: Instant) {
        guard let outcome = machine.deviceFellSilent(device, lastSeenAt: lastSeenAt, at: now) else { return }
        let words = "The device gave no sign of life since \(lastSeenAt.rfc3339Seconds)"
        audit(
            device,
            "device.offline",
            words,
            ["last_seen_at": .string(lastSeenAt.rfc3339Milliseconds)],
            cause: "deadline"
        )
        take(outcome, .wentOffline(device))
    }

    fileprivate mutating func returned(_ device: DeviceID, seenAt: Instant, at now: Instant) {
        guard let outcome = machine.deviceReturned(device, seenAt: seenAt, at: now) else { return }
        audit(
            device,
            "device.online",
            "The device was seen again",
            ["seen_at": .string(seenAt.rfc3339Milliseconds)],
            cause: "heartbeat"
        )
        take(outcome, .cameBack(device))
    }

    private mutating func take(_ outcome: DeviceOutcome, _ change: DeviceChange) {
        decision.deviceChanges.append(change)
        emit(outcome.event, in: nil)
        takeOwn(outcome.effects)
    }

    fileprivate mutating func toldFirmware(
        _ version: String,
        after previous: String?,
        of device: DeviceID,
        _ request: Request?
    ) {
        decision.deviceChanges.append(.toldFirmware(device, version: version))
        var details: JSONObject = ["version": .string(version)]
        details["previous_version"] = previous.map(JSON.string)
        let words = previous.map { "The device runs \(version) instead of \($0)" } ?? "The device runs \(version)"
        audit(device, "device.firmware", words, details, cause: "request", request)
        guard let previous else { return }
        let event = DeviceFirmwareUpdated(
            deviceID: device,
            siteID: decision.siteID,
            previousVersion: previous,
            version: version
        )
        emit(.deviceFirmwareUpdated(event), in: nil)
    }

    private mutating func audit(
        _ device: DeviceID,
        _ action: String,
        _ explanation: String,
        _ details: JSONObject,
        cause: String,
        _ request: Request? = nil
    ) {
        decision.audit.append(
            entry(request, action: action, target: device.text, explanation, cause: cause, details: details)
        )
    }
}

extension Plan {
    /// Notes which devices have shown by these signals that they live: those that sent them, and those of their zones.
    mutating func noteSightings(by signals: [Signal], _ answers: [SignalAnswer]) {
        let origins = Set(zip(signals, answers).filter { $1.outcome != .rejected }.map(\.0.origin))
        for case .device(let id) in origins { seenDevices.insert(id) }
        for zone in record.configuration.zones {
            guard let device = zone.deviceID else { continue }
            if origins.contains(.zone(zone.id)) || origins.contains(.number(zone.number)) { seenDevices.insert(device) }
        }
    }
}
