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

        package init(
            id: SnapshotID,
            deviceID: DeviceID,
            mediaType: MediaType,
            size: Int,
            content: ContentHash,
            takenAt: Instant?
        ) {
            self.id = id
            self.deviceID = deviceID
            self.mediaType = mediaType
            self.size = size
            self.content = content
            self.takenAt = takenAt
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

    package func decide(_ plan: inout Plan) throws(VaultError) -> SnapshotAnswer {
        let snapshot = Snapshot(
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
        plan.tell(
            .snapshotCreated(
                SnapshotCreated(
                    snapshotID: snapshot.id,
                    deviceID: snapshot.deviceID,
                    alarm: nil,
                    url: links.url(of: snapshot),
                    expiresAt: snapshot.linkExpiresAt
                )
            )
        )
        plan.decision.snapshots.append(SnapshotDraft(snapshot: snapshot, alarm: nil))
        plan.decision.audit.append(entry(of: snapshot))
        let reply = render(snapshot)
        try plan.keep(caller.idempotency, status: 201) { reply }
        return .created(reply: reply)
    }

    private func entry(of snapshot: Snapshot) -> AuditEntry {
        AuditEntry(
            at: caller.receivedAt,
            dealerID: snapshot.dealerID,
            siteID: snapshot.siteID,
            actor: caller.actor,
            action: "snapshot.create",
            target: snapshot.id.text,
            explanation: "A snapshot of \(snapshot.deviceID) was stored.",
            cause: "request",
            requestID: caller.requestID,
            traceID: caller.traceID,
            address: caller.address,
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
}
