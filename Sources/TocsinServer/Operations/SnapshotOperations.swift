import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Images and videos of devices (decisions §7).
enum SnapshotOperations {
    static let all = [upload, list, get, content, media]

    static let schema = Schema.object([
        .required("snapshot_id", .id(SnapshotNoun.prefix)),
        .required("device_id", .id(DeviceNoun.prefix)),
        .required("site_id", .id(SiteNoun.prefix)),
        .optional("alarm_id", Schema.string(1...64).described("Shown to callers with `events:read`.")),
        .required("content_type", .oneOf(MediaType.self)),
        .required("size", Schema.count.described("Bytes.")),
        .required("sha256", .string(64...64)),
        .optional("taken_at", .time),
        .required("created_at", .time),
        .optional("url", Schema.string(1...2000).described("Where whoever holds it may fetch it, until `expires_at`.")),
        .optional("expires_at", Schema.time.described("24 hours after creation; left out when that is over.")),
    ]).named("Snapshot")

    /// What a caller is told of a snapshot: whose alarm it shows only where alarms are for the caller, as it may be a
    /// hidden one.
    static func json(
        _ snapshot: Snapshot,
        _ links: SnapshotLinks,
        at now: Instant,
        to caller: Caller
    ) -> JSON {
        var object: JSONObject = [
            "snapshot_id": .string(snapshot.id.text), "device_id": .string(snapshot.deviceID.text),
            "site_id": .string(snapshot.siteID.text),
        ]
        if caller.seesAlarms { object["alarm_id"] = snapshot.alarm.map { .string($0.description) } }
        object["content_type"] = .string(snapshot.mediaType.rawValue)
        object["size"] = JSON(snapshot.size)
        object["sha256"] = .string(snapshot.content.text)
        object["taken_at"] = snapshot.takenAt.map { .string($0.rfc3339Milliseconds) }
        object["created_at"] = .string(snapshot.createdAt.rfc3339Milliseconds)
        if now < snapshot.linkExpiresAt {
            object["url"] = .string(links.url(of: snapshot))
            object["expires_at"] = .string(snapshot.linkExpiresAt.rfc3339Seconds)
        }
        return .object(object)
    }

    // MARK: Operations

    private static let upload = Operation(
        .post,
        "/v1/devices/{device_id}/snapshots",
        id: "postSnapshot",
        tag: .snapshots,
        summary: "Store an image or a video of a device",
        notes: """
            The body is the file. It is checked by its content, not by its name. Durable before the reply; \
            `snapshot.created` follows.
            """,
        callers: .holding(.snapshotsWrite),
        query: [
            .optional(
                "alarm_id",
                Schema.string(3...24)
                    .described("The alarm that it belongs to; left out: the unresolved one of the device, if any.")
            ),
            .optional("taken_at", Schema.time.described("When it was taken, in UTC (`Z` or `+00:00`).")),
        ],
        body: .media(MediaType.allCases),
        replies: [.created("The snapshot.", schema)],
        errors: [.deviceNotFound, .alarmNotFound, .unreadableMedia, .timestampNotUTC, .timestampInFuture],
        flags: [.siteBucket],
        bodyLimit: Snapshot.sizeMaximum,
        handle: { call in try await SnapshotReception(call).reply() }
    )

    private static let list = Operation(
        .get,
        "/v1/snapshots",
        id: "listSnapshots",
        tag: .snapshots,
        summary: "List snapshots, newest first",
        callers: .holding(.snapshotsRead),
        query: Operation.pageParameters + [
            .optional("site_id", Schema.id(SiteNoun.prefix).described("A partner names this or `device_id`.")),
            .optional("device_id", .id(DeviceNoun.prefix)),
            .optional(
                "alarm_id",
                Schema.string(1...64)
                    .described("Of the dealer whom the request names or implies; needs `events:read`.")
            ),
            .optional(
                "dealer_id",
                Schema.id(DealerNoun.prefix).described("Whose alarm is meant, for callers that reach several dealers.")
            ),
        ],
        replies: [.ok("A page of snapshots.", .page(of: schema))],
        errors: [.dealerNotFound, .dealerRequired, .siteNotFound, .deviceNotFound, .invalidCursor],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            let (links, now, caller) = (call.services.snapshotLinks, call.receivedAt, call.caller)
            let found = try await call.read { reader in
                try reader.snapshots(within: reach, filter: try filter(call, reader), page: page)
            }
            return .page(found.items.map { json($0, links, at: now, to: caller) }, next: found.next)
        }
    )

    private static let get = Operation(
        .get,
        "/v1/snapshots/{snapshot_id}",
        id: "getSnapshot",
        tag: .snapshots,
        summary: "Get what is known of a snapshot",
        notes: "Until its retention ends.",
        callers: .holding(.snapshotsRead),
        replies: [.ok("The snapshot.", schema)],
        errors: [.snapshotNotFound],
        handle: { call in
            let snapshot = try await found(call, within: try call.reach)
            return .ok(json(snapshot, call.services.snapshotLinks, at: call.receivedAt, to: call.caller))
        }
    )

    private static let content = Operation(
        .get,
        "/v1/snapshots/{snapshot_id}/content",
        id: "getSnapshotContent",
        tag: .snapshots,
        summary: "Get a snapshot's image or video",
        notes: "Until its retention ends. Takes `Range` with one part, `If-Range` and `If-None-Match`.",
        callers: .holding(.snapshotsRead),
        replies: SnapshotContent.replies,
        errors: [.snapshotNotFound, .rangeNotSatisfiable],
        handle: { call in
            let snapshot = try await found(call, within: try call.reach)
            return try await SnapshotContent(snapshot, call).reply(sharing: .sameOrigin)
        }
    )

    private static let media = Operation(
        .get,
        "/media/{snapshot_id}",
        id: "getMedia",
        tag: .snapshots,
        summary: "Get a snapshot's image or video by its signed address",
        notes: """
            Whoever holds the address may fetch it, for 24 hours from the snapshot's creation. Takes `Range` with one part, \
            `If-Range` and `If-None-Match`.
            """,
        callers: .everybody,
        query: [
            .optional("expires", Schema.string(0...64).described("As the address has it.")),
            .optional("signature", Schema.string(0...200).described("As the address has it.")),
        ],
        replies: SnapshotContent.replies,
        errors: [.snapshotNotFound, .snapshotExpired, .rangeNotSatisfiable],
        handle: { call in
            try call.services.mediaLimiter.take(call.clientAddress, now: call.receivedAt)
            let id: SnapshotID = try call.id("snapshot_id", orThrow: .snapshotNotFound)
            let isSigned = call.query.optionalString("expires").flatMap { text -> Int64? in
                // One address in one form: a sign or a zero in front would be another address for the same.
                guard let expires = Int64(text), String(expires) == text else { return nil }
                let signature = call.query.optionalString("signature") ?? ""
                return call.services.snapshotLinks.isSigned(id, expires: expires, signature: signature) ? expires : nil
            }
            guard let expires = isSigned else { throw APIError.missing(.snapshotNotFound) }
            if call.receivedAt >= Instant(secondsSinceEpoch: expires) {
                throw APIError(
                    .snapshotExpired,
                    "The address has died. GET /v1/snapshots/{id}/content still has it, for callers with snapshots:read."
                )
            }
            return try await SnapshotContent(try await found(call, within: .platform), call).reply(sharing: .anyOrigin)
        }
    )

    // MARK: Parts

    private static func found(_ call: Call, within reach: Reach) async throws -> Snapshot {
        let id: SnapshotID = try call.id("snapshot_id", orThrow: .snapshotNotFound)
        guard let snapshot = try await call.read({ try $0.snapshot(id, within: reach) }) else {
            throw APIError.missing(.snapshotNotFound)
        }
        return snapshot
    }

    private static func filter(_ call: Call, _ reader: any LedgerReader) throws -> SnapshotFilter {
        let reach = try call.reach
        var filter = SnapshotFilter()
        var dealer: DealerID? = if case .dealer(let own) = reach { own } else { nil }
        if let text = call.query.optionalString("dealer_id") {
            guard let id = DealerID(text), dealer == nil || dealer == id, try reader.dealer(id, within: reach) != nil
            else { throw APIError.missing(.dealerNotFound, field: "dealer_id") }
            filter.dealerID = id
            dealer = id
        }
        if let text = call.query.optionalString("site_id") {
            guard let id = SiteID(text), let site = try reader.site(id, within: reach) else {
                throw APIError.missing(.siteNotFound, field: "site_id")
            }
            filter.siteID = id
            dealer = site.dealerID
        }
        if let text = call.query.optionalString("device_id") {
            guard let id = DeviceID(text), let device = try reader.fixture(id.text, kind: .device, within: reach),
                let site = try reader.site(device.siteID, within: reach)
            else { throw APIError.missing(.deviceNotFound, field: "device_id") }
            filter.deviceID = id
            dealer = site.dealerID
        }
        if case .partner = reach, filter.siteID == nil, filter.deviceID == nil {
            // Its sites are scattered among those of many dealers.
            throw APIError.invalid("site_id", "is required of a partner, unless \"device_id\" is given")
        }
        if let text = call.query.optionalString("alarm_id") {
            guard call.caller.seesAlarms else {
                throw APIError(
                    .permissionDenied,
                    "Asking for an alarm's snapshots needs the scope \"events:read\". Ask the dealer's admin for it.",
                    field: "alarm_id"
                )
            }
            guard let dealer else {
                throw APIError(
                    .dealerRequired,
                    "Alarms count up per dealer. Name one in \"dealer_id\".",
                    field: "dealer_id"
                )
            }
            guard let alarm = AlarmNumber(text: text) else {
                throw APIError.invalid("alarm_id", "must be an alarm's id, such as A-10293")
            }
            filter.dealerID = dealer
            filter.alarm = alarm
        }
        return filter
    }
}
