import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Alarms: listed, looked at, raised (decisions §6).
enum AlarmOperations {
    static let all = [list, get, raise] + AlarmActions.all

    /// The newest entries that are shown; more is what nobody reads, and the events have it.
    private static let timelineMax = 1000

    /// As many as fit a screen; `GET /v1/snapshots?alarm_id=` has the others.
    static let snapshotsMax = 50

    static let dealer = Operation.Parameter.optional(
        "dealer_id",
        Schema.id(DealerNoun.prefix).described("Whose alarm; required for a caller that reaches several dealers.")
    )

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/alarms",
        id: "listAlarms",
        tag: .alarms,
        summary: "List alarms, newest first",
        callers: .holding(.eventsRead),
        query: Operation.pageParameters + [
            .optional("dealer_id", .id(DealerNoun.prefix)),
            .optional("site_id", .id(SiteNoun.prefix)),
            .optional("state", .oneOf(AlarmState.self)),
            .optional("priority", .oneOf(AlarmPriority.self)),
            .optional("class", .oneOf(AlarmClass.self)),
            .optional("since", Schema.time.described("Only those raised at this time or later.")),
        ],
        replies: [.ok("A page of alarms.", .page(of: AlarmView.schema))],
        errors: [.dealerNotFound, .siteNotFound, .invalidCursor, .timestampNotUTC, .timestampInFuture],
        handle: { call in
            let (reach, page) = (try call.reach, try call.page)
            var filter = AlarmFilter(
                state: call.query.optionalValue("state"),
                priority: call.query.optionalValue("priority"),
                alarmClass: call.query.optionalValue("class")
            )
            filter.since = try call.query.optionalString("since").map {
                try ReportedTime.instant($0, field: "since", receivedAt: call.receivedAt)
            }
            let wanted = filter
            let found = try await call.read { reader in
                var filter = wanted
                if call.query.has("dealer_id") { filter.dealerID = try LogView.dealer(call, reach, reader) }
                if let text = call.query.optionalString("site_id") {
                    guard let id = SiteID(text), try reader.site(id, within: reach) != nil else {
                        throw APIError.missing(.siteNotFound, field: "site_id")
                    }
                    filter.siteID = id
                }
                return try reader.alarms(within: reach, filter: filter, page: page)
            }
            return .page(found.items.map { .object(AlarmView.json($0)) }, next: found.next)
        }
    )

    private static let get = Operation(
        .get,
        "/v1/alarms/{alarm_id}",
        id: "getAlarm",
        tag: .alarms,
        summary: "Get an alarm with its timeline",
        notes: """
            The timeline tells everything that became of it, with who and when; `ETag` is the alarm's version. `snapshots` \
            are its pictures, for callers with `snapshots:read`.
            """,
        callers: .holding(.eventsRead),
        query: [dealer],
        replies: [.ok("The alarm.", AlarmView.detailSchema)],
        errors: [.alarmNotFound, .dealerNotFound, .dealerRequired],
        handle: { call in
            let (alarm, entries, pictures) = try await call.read { reader in
                let alarm = try found(call, reader)
                let entries = try alarm.number.map {
                    try reader.timeline(of: $0, of: alarm.dealerID, limit: timelineMax)
                }
                return (alarm, entries ?? [], try snapshots(of: alarm, call, reader))
            }
            var object = AlarmView.json(alarm)
            object["timeline"] = .array(entries.map(AlarmView.json))
            object["snapshots"] = pictures.map(JSON.array)
            return Reply.ok(.object(object)).tagged(version: alarm.version)
        }
    )

    private static let raise = Operation(
        .post,
        "/v1/alarms",
        id: "raiseAlarm",
        tag: .alarms,
        summary: "Raise an alarm",
        notes: """
            While an alarm of the same partition and class is not resolved, this becomes a part of it: an entry of its \
            timeline and `alarm.activity`, and the reply is 200 with that alarm. A `duress` alarm, and one at a silent \
            zone, is hidden from the premises.
            """,
        callers: .holding(.alarmsWrite),
        body: .json(.object(form)),
        replies: [
            .created("The new alarm; `ETag` is its version.", AlarmView.replySchema),
            .ok("The alarm that it became a part of.", AlarmView.replySchema),
        ],
        errors: [.siteNotFound, .partitionNotFound, .zoneNotFound, .deviceNotFound],
        handle: raise
    )

    private static let form: [Schema.Property] = [
        .required("site_id", .id(SiteNoun.prefix)),
        .optional(
            "partition",
            PartitionTarget.schema.nullable
                .described("A partition's id or number; left out: the zone's first, else the site's first.")
        ),
        .optional(
            "zone",
            Schema.anyOf([.string(1...64), .integer(1...9999)]).nullable.described("A zone's id, or its number.")
        ),
        .optional("device_id", Schema.id(DeviceNoun.prefix).nullable.described("Instead of `zone`.")),
        .optional("class", Schema.oneOf(AlarmClass.self).nullable.described("Left out: `intrusion`.")),
        .required("trigger", Schema.string(1...64).described("What set it off, for example `motion`.")),
        .optional("location", Schema.string(1...200).nullable.described("Left out: the zone's or device's name.")),
        .optional(
            "priority",
            Schema.oneOf(AlarmPriority.self).nullable.described(
                "Left out: that of its class. Duress, panic and fire are `CRITICAL`."
            )
        ),
        .optional("snapshot_id", Schema.id(SnapshotNoun.prefix).nullable),
    ]

    // MARK: Parts

    /// The alarm that the path names, if the caller may know of it.
    static func found(_ call: Call, _ reader: any LedgerReader) throws -> Alarm {
        let reach = try call.reach
        let dealer = try LogView.dealer(call, reach, reader)
        guard let number = AlarmNumber(text: try call.path("alarm_id")),
            let alarm = try reader.alarm(number, of: dealer, within: reach),
            call.caller.seesAlarms || !alarm.isSilent
        else { throw APIError.missing(.alarmNotFound) }
        return alarm
    }

    /// The newest pictures of the alarm; none for a caller who may not see any.
    private static func snapshots(of alarm: Alarm, _ call: Call, _ reader: any LedgerReader) throws -> [JSON]? {
        guard call.caller.holds(.snapshotsRead), let number = alarm.number else { return nil }
        let filter = SnapshotFilter(dealerID: alarm.dealerID, alarm: number)
        let found = try reader.snapshots(within: try call.reach, filter: filter, page: PageRequest(limit: snapshotsMax))
        return found.items.map {
            SnapshotOperations.json($0, call.services.snapshotLinks, at: call.receivedAt, to: call.caller)
        }
    }

    private static func raise(_ call: Call) async throws -> Reply {
        guard let site: SiteID = try call.bodyID("site_id", orThrow: .siteNotFound) else {
            throw APIError.missing(.siteNotFound, field: "site_id")
        }
        let (reach, caller) = (try call.reach, call.caller)
        let what = try await call.read { reader in
            guard let record = try reader.siteRecord(site, within: reach) else {
                throw APIError.missing(.siteNotFound, field: "site_id")
            }
            return try self.what(call, record.configuration, reader)
        }
        let task = AlarmRaising(what, request: try call.request(at: site)) { AlarmView.reply($0, to: caller) }
        switch try await call.services.sites.ask(task) {
        case .answered(.raised(let reply, _, let version)):
            let raised = Reply(.created, body: .bytes(reply, contentType: Reply.jsonType)).tagged(version: version)
            return try await AlarmPlaceholder.filled(raised, from: call.ledger)
        case .answered(.added(let reply, let version)): return Reply.ok(bytes: reply).tagged(version: version)
        case .answered(.unknownPartition): throw APIError.missing(.partitionNotFound, field: "partition")
        case .unknownSite: throw APIError.missing(.siteNotFound, field: "site_id")
        case .knownKey(let record):
            guard let claim = call.idempotency else { throw APIError.internalFailure }
            return try await AlarmPlaceholder.filled(claim.replay(record), from: call.ledger)
        }
    }

    /// What is raised, by what the body says and what follows from it.
    private static func what(
        _ call: Call,
        _ configuration: SiteConfiguration,
        _ reader: any LedgerReader
    ) throws -> AlarmRaising.What {
        let body = call.body
        let zone = try zone(body, configuration)
        let device = try device(call, configuration.site, reader)
        if zone != nil, device != nil { throw APIError.invalid("device_id", "cannot stand beside \"zone\"") }
        let alarmClass = body.optionalValue("class") ?? AlarmClass.intrusion
        var what = AlarmRaising.What(
            partitionID: try partition(body, zone, configuration).id,
            zone: zone,
            deviceID: device.map { DeviceID(stored: $0.id) } ?? zone?.deviceID,
            alarmClass: alarmClass,
            trigger: try body.string("trigger"),
            location: body.optionalString("location") ?? zone?.name ?? device?.name,
            priority: try priority(body, of: alarmClass),
            snapshot: try snapshot(call, configuration.site, reader)
        )
        // Who may not see a hidden alarm must not find out that there is one.
        what.mayJoin = call.caller.seesAlarms || !what.isSilent
        return what
    }

    /// Duress, panic and fire are CRITICAL (decisions §6), whatever the caller takes them for.
    private static func priority(_ body: Fields, of alarmClass: AlarmClass) throws -> AlarmPriority {
        let named: AlarmPriority? = body.optionalValue("priority")
        if let named, alarmClass.priority == .critical, named != .critical {
            throw APIError.invalid(
                "priority",
                "must be CRITICAL for the class \"\(alarmClass.rawValue)\"; leave it out, or say CRITICAL"
            )
        }
        return named ?? alarmClass.priority
    }

    /// The snapshot that the body names; one that another alarm has, or whose link is dead, is passed over.
    private static func snapshot(_ call: Call, _ site: Site, _ reader: any LedgerReader) throws -> NamedSnapshot? {
        guard let text = call.body.optionalString("snapshot_id") else { return nil }
        guard let id = SnapshotID(text), try reader.snapshot(id, within: call.reach)?.siteID == site.id else {
            throw APIError.invalid("snapshot_id", "must name a snapshot of a device of the site")
        }
        return try call.unusedSnapshots([id], at: site.id, reader)[id]
    }

    private static func zone(_ body: Fields, _ configuration: SiteConfiguration) throws -> Zone? {
        let named = body.object["zone"]
        let zone: Zone?
        if let number = named?.integer {
            zone = configuration.zone(numbered: Int(clamping: number))
        } else if let text = named?.string {
            zone = ZoneID(text).flatMap(configuration.zone) ?? Int(text).flatMap(configuration.zone(numbered:))
        } else {
            return nil
        }
        guard let zone else { throw APIError.missing(.zoneNotFound, field: "zone") }
        return zone
    }

    private static func device(_ call: Call, _ site: Site, _ reader: any LedgerReader) throws -> Fixture? {
        guard let id: DeviceID = try call.bodyID("device_id", orThrow: .deviceNotFound) else { return nil }
        let found = try reader.fixture(id.text, kind: .device, within: try call.reach)
        guard let found, found.siteID == site.id else { throw APIError.missing(.deviceNotFound, field: "device_id") }
        return found
    }

    private static func partition(
        _ body: Fields,
        _ zone: Zone?,
        _ configuration: SiteConfiguration
    ) throws -> Partition {
        let named = body.object["partition"]
        if let named, named != .null {
            let target = try PartitionTarget(named)
            if target == .all { throw APIError.invalid("partition", "must be one partition: an alarm has one place") }
            guard let partition = configuration.partitions.first(where: target.covers) else {
                throw APIError.missing(.partitionNotFound, field: "partition")
            }
            if let zone, !zone.belongs(to: partition) {
                throw APIError.invalid("partition", "is not one of the zone's partitions")
            }
            return partition
        }
        let ofZone = zone.flatMap { zone in configuration.partitions.first { zone.belongs(to: $0) } }
        guard let partition = ofZone ?? configuration.partitions.first else {
            throw APIError.missing(.partitionNotFound, field: "partition")
        }
        return partition
    }
}
