import TocsinCore
import TocsinJSON
import TocsinLedger

/// Stores a snapshot whose file is on the disk already, and tells of it (decisions §7).
package struct SnapshotTask: SiteTask {
    package typealias Answer = SnapshotAnswer

    /// What the request says of it.
    package struct Upload: Sendable {
        package var id: SnapshotID
        package var deviceID: DeviceID
        package var mediaType: MediaType
        package var size: Int
        package var content: ContentHash
        package var takenAt: Instant?
        /// The alarm that the caller named, which is one of the site; none: the unresolved one of the device, if any.
        package var incident: IncidentID?

        package init(
            id: SnapshotID,
            deviceID: DeviceID,
            mediaType: MediaType,
            size: Int,
            content: ContentHash,
            takenAt: Instant?,
            incident: IncidentID? = nil
        ) {
            self.id = id
            self.deviceID = deviceID
            self.mediaType = mediaType
            self.size = size
            self.content = content
            self.takenAt = takenAt
            self.incident = incident
        }
    }

    private let upload: Upload
    private let caller: Request
    private let links: SnapshotLinks
    private let render: @Sendable (Snapshot) -> [UInt8]

    package init(
        _ upload: Upload,
        request: Request,
        links: SnapshotLinks,
        render: @escaping @Sendable (Snapshot) -> [UInt8]
    ) {
        self.upload = upload
        caller = request
        self.links = links
        self.render = render
    }

    package var siteID: SiteID { caller.siteID }
    package var receivedAt: Instant { caller.receivedAt }
    package var request: Request? { caller }

    package var alarms: AlarmNeeds {
        if let incident = upload.incident { return AlarmNeeds(incidents: [incident]) }
        return AlarmNeeds(devices: [upload.deviceID])
    }

    package func decide(_ plan: inout Plan) throws(VaultError) -> SnapshotAnswer {
        // It may have been deleted while the file came; a deletion that comes in between is a conflict of the commit.
        guard plan.record.configuration.devices.contains(upload.deviceID) else { return .unknownDevice }
        var snapshot = Snapshot(
            id: upload.id,
            dealerID: plan.decision.dealerID,
            siteID: plan.decision.siteID,
            deviceID: upload.deviceID,
            mediaType: upload.mediaType,
            size: upload.size,
            content: upload.content,
            takenAt: upload.takenAt,
            createdAt: plan.decision.at
        )
        // Whoever uploads lives.
        plan.seenDevices.insert(upload.deviceID)
        let alarm = alarm(for: snapshot, plan)
        let reference = alarm.map { AlarmReference.incident($0.incident) }
        let url = links.url(of: snapshot)
        let created = SnapshotCreated(
            snapshotID: snapshot.id,
            deviceID: snapshot.deviceID,
            // The event needs `snapshots:read` alone, and who holds no more must hear of no hidden alarm.
            alarm: alarm?.isSilent == true ? nil : reference,
            url: url,
            expiresAt: snapshot.linkExpiresAt
        )
        if let alarm {
            _ = plan.perform(.attach(created), on: alarm.incident, by: caller.actor)
        } else {
            plan.emit(.snapshotCreated(created), in: nil)
        }
        plan.decision.snapshots.append(SnapshotDraft(snapshot: snapshot, alarm: reference, url: url))
        plan.decision.audit.append(entry(of: snapshot, in: plan))
        snapshot.alarm = alarm?.number
        let reply = render(snapshot)
        try plan.keep(caller.idempotency, status: 201) { reply }
        return .created(reply: reply)
    }

    private func alarm(for snapshot: Snapshot, _ plan: Plan) -> Alarm? {
        if let incident = upload.incident { return plan.alarm(incident) }
        let since = snapshot.createdAt - Snapshot.alarmReach
        if let own = plan.book.unresolved(of: snapshot.deviceID, since: since) { return own }
        // A zone of the device may have tripped in an alarm that was raised for another one, or for none.
        let zones = plan.record.configuration.zones.filter { $0.deviceID == snapshot.deviceID }
        if zones.isEmpty { return nil }
        let incidents = plan.incidents(trippedBy: Set(zones.map(\.id)), since: since)
        return plan.book.unresolved(among: incidents, orOf: Set(zones.map(\.number)), since: since)
    }

    private func entry(of snapshot: Snapshot, in plan: Plan) -> AuditEntry {
        plan.entry(
            caller,
            action: "snapshot.create",
            target: snapshot.id.text,
            "A snapshot of \(snapshot.deviceID) was stored.",
            details: [
                "device_id": .string(snapshot.deviceID.text), "content_type": .string(snapshot.mediaType.rawValue),
                "size": JSON(snapshot.size), "sha256": .string(snapshot.content.text),
            ]
        )
    }
}

/// What became of an upload at its site.
package enum SnapshotAnswer: Sendable {
    /// Durable.
    case created(reply: [UInt8])
    /// The device is gone since the upload began.
    case unknownDevice
}
