import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// One upload on its way from the connection to the ledger.
///
/// Device, caller and key are looked at before the first byte is read, the content while it arrives, the caller again after
/// the last, and the ledger hears of it when the file is on the disk.
struct SnapshotReception {
    private let call: Call
    private var services: Services { call.services }

    init(_ call: Call) { self.call = call }

    func reply() async throws -> Reply {
        do {
            return try await receive(for: try await site())
        } catch let refusal as SnapshotRefusal {
            services.snapshotMetrics.record(refusal)
            // What the disk does not do is the operator's to know, not the caller's.
            throw APIError(refusal, called: call.upload?.type) ?? refusal
        }
    }

    private func site() async throws -> Site {
        let (id, reach) = (try deviceID, try call.reach)
        let site = try await call.read { reader in
            try reader.fixture(id.text, kind: .device, within: reach).flatMap {
                try reader.site($0.siteID, within: reach)
            }
        }
        guard let site else { throw APIError.missing(.deviceNotFound) }
        return site
    }

    private var deviceID: DeviceID { get throws { try call.id("device_id", orThrow: .deviceNotFound) } }

    private func receive(for site: Site) async throws -> Reply {
        guard let upload = call.upload else { throw APIError.internalFailure }
        guard let type = upload.type else { throw APIError.unsupportedMedia("The body must be an image or a video.") }
        let takenAt = try call.query.optionalString("taken_at").map {
            try ReportedTime.instant($0, field: "taken_at", receivedAt: call.receivedAt)
        }
        let incident = try await incident(at: site)
        let (id, deviceID): (SnapshotID, DeviceID) = (call.newID(), try deviceID)
        var parts = upload.parts()
        return try await services.snapshotFiles.receive(
            id,
            of: site.dealerID,
            called: type,
            announced: upload.announced,
            next: { try await parts.next() },
            body: { received in
                let stored = SnapshotTask.Upload(
                    id: id,
                    deviceID: deviceID,
                    mediaType: type,
                    size: received.size,
                    content: received.content.hash,
                    takenAt: takenAt,
                    incident: incident
                )
                return try await store(stored, received, at: site.id)
            }
        )
    }

    /// The alarm that the request names, if it may still get a picture.
    private func incident(at site: Site) async throws -> IncidentID? {
        guard let text = call.query.optionalString("alarm_id") else { return nil }
        let (reach, seesAlarms) = (try call.reach, call.caller.seesAlarms)
        let alarm = try await call.read { reader in
            try AlarmNumber(text: text).flatMap { try reader.alarm($0, of: site.dealerID, within: reach) }
        }
        guard let alarm, seesAlarms || !alarm.isSilent else {
            throw APIError.missing(.alarmNotFound, field: "alarm_id")
        }
        guard alarm.siteID == site.id else { throw APIError.invalid("alarm_id", "is an alarm of another site") }
        if let resolved = alarm.resolved, resolved.at < call.receivedAt - Snapshot.alarmAfterlife {
            throw APIError.invalid("alarm_id", "is an alarm that was resolved more than an hour ago")
        }
        return alarm.incident
    }

    private func store(
        _ upload: SnapshotTask.Upload,
        _ received: SnapshotFiles.Received,
        at site: SiteID
    ) async throws -> Reply {
        let viewer = try await call.readmitted()
        let receivedAt = services.clock.now
        let claim = call.idempotency?.covering(upload.content.text, of: viewer)
        if let claim, let stored = try await services.stored(claim) { return try claim.replay(stored) }
        // Before the file has its name: what is refused behind that leaves it to the sweep.
        _ = try await self.site()
        try await services.snapshotFiles.keep(received)
        let links = services.snapshotLinks
        let task = SnapshotTask(
            upload,
            request: try request(at: site, receivedAt, claim),
            links: links,
            render: { SnapshotOperations.json($0, links, at: $0.createdAt, to: viewer).bytes }
        )
        switch try await services.sites.ask(task) {
        case .answered(.created(let reply)):
            services.snapshotMetrics.record(stored: upload.size)
            return Reply(.created, body: .bytes(reply, contentType: Reply.jsonType))
        case .answered(.unknownDevice), .unknownSite: throw APIError.missing(.deviceNotFound)
        case .knownKey(let record):
            guard let claim else { throw APIError.internalFailure }
            return try claim.replay(record)
        }
    }

    private func request(
        at site: SiteID,
        _ receivedAt: Instant,
        _ claim: IdempotencyClaim?
    ) throws -> TocsinEngine.Request {
        var request = try call.request(at: site)
        request.receivedAt = receivedAt
        request.idempotency = claim?.ticket
        return request
    }
}

extension APIError {
    /// 415: the sentence says what is wrong with the body's type.
    fileprivate static func unsupportedMedia(_ sentence: String) -> APIError {
        let known = MediaType.allCases.map(\.rawValue).joined(separator: ", ")
        return APIError(.unsupportedMediaType, "\(sentence) Set Content-Type to what it is: one of \(known).")
    }

    /// What the sender of an upload can mend; none where it is not the sender's to mend.
    fileprivate init?(_ refusal: SnapshotRefusal, called type: MediaType?) {
        switch refusal {
        case .tooLarge: self = .bodyTooLarge(limit: Snapshot.sizeMaximum)
        case .incomplete(let received, let announced):
            self.init(
                .unreadableMedia,
                "The body has \(received) bytes, Content-Length says \(announced). Send it again whole."
            )
        case .media(let problem):
            let sentence = "The body \(problem.sentence(called: type ?? .jpeg))."
            if case .otherType = problem {
                self = .unsupportedMedia(sentence)
            } else {
                self.init(.unreadableMedia, "\(sentence) Send the file again whole.")
            }
        case .noSpace, .busy, .unavailable: return nil
        }
    }
}
