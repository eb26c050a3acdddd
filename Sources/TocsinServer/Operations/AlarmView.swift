import TocsinCore
import TocsinJSON
import TocsinLedger

/// How alarms are shown: their members are named as the webhooks name them.
enum AlarmView {
    // MARK: Form

    private static let mark: [Schema.Property] = [
        .required("operator_id", Schema.string(0...64).described("Who: an app, an admin's token, a partner.")),
        .required("at", .time),
    ]
    private static let text = Schema.string(0...2000)

    private static let members: [Schema.Property] = [
        .required("alarm_id", Schema.string(3...24).described("The alarm's number in its dealer, `A-10293`.")),
        .required("dealer_id", .id(DealerNoun.prefix)),
        .required("site_id", .id(SiteNoun.prefix)),
        .optional("partition_id", .id(PartitionNoun.prefix)),
        .optional("device_id", .id(DeviceNoun.prefix)),
        .required("class", .oneOf(AlarmClass.self)),
        .required("state", .oneOf(AlarmState.self)),
        .required("priority", .oneOf(AlarmPriority.self)),
        .required("trigger", text),
        .optional("location", text),
        .required(
            "zones",
            .array(of: .object([.required("number", .integer(1...9999)), .required("name", text)]))
        ),
        .required("silent", Schema.boolean.described("Hidden from the premises.")),
        .required("late", Schema.boolean.described("It tells of a time that was over when we heard of it.")),
        .required("verified", Schema.boolean.described("Two independent detectors have tripped.")),
        .required("created_at", .time),
        .optional("acknowledged", .object(mark + [.optional("reason", text)])),
        .optional(
            "dispatched",
            .object(
                mark + [
                    .required("responder_id", text), .required("responder_type", text),
                    .required("eta_seconds", .count), .optional("tracking_url", text),
                ]
            )
        ),
        .optional(
            "resolved",
            .object(mark + [.required("resolution", .oneOf(AlarmResolution.self)), .optional("notes", text)])
        ),
        .optional("escalated", .object(mark + [.required("reason", text)])),
        .optional("verification", verificationSchema),
        .required("version", Schema.count.described("Counts the entries of its timeline; `ETag` of the alarm.")),
    ]

    private static let verificationSchema = Schema.object([
        .required("state", .oneOf(["open", "answered", "expired", "dropped"])),
        .required("requested_by", Schema.string(0...64).described("`operator`, `app`, `partner` or `site`.")),
        .required("requested_at", .time),
        .required("deadline", .time),
        .optional("verdict", .oneOf(AlarmVerdict.self)),
        .optional("operator_id", .string(0...64)),
        .optional("ended_at", .time),
        .optional("notes", text),
    ])

    static let schema = Schema.object(members).named("Alarm")

    private static let changedNames = ["alarm_id", "dealer_id", "site_id", "state", "version"]

    /// What an action replies: the whole alarm, or to a caller who may not see it only that it was changed.
    static let replySchema = Schema.anyOf([
        schema,
        Schema.object(members.filter { changedNames.contains($0.name) })
            .described("To a caller that does not hold `events:read`.").named("AlarmChanged"),
    ])

    private static let entry = Schema.object([
        .required("position", .count),
        .required("at", .time),
        .required("kind", .oneOf(AlarmEntry.Kind.self)),
        .required("by", .object([.required("kind", .string(1...16)), .required("id", .string(0...64))])),
        .required("text", text),
        .optional("details", .any),
        .optional("event_id", .id(EventNoun.prefix)),
    ]).named("AlarmEntry")

    static let detailSchema = Schema.object(
        members + [
            .required("timeline", Schema.array(of: entry).described("Oldest first.")),
            .optional(
                "snapshots",
                Schema.array(of: SnapshotOperations.schema, count: 0...AlarmOperations.snapshotsMax)
                    .described("The newest that show it, newest first; for callers with `snapshots:read`.")
            ),
        ]
    ).named("AlarmWithTimeline")

    // MARK: Showing

    /// The alarm as an action's reply shows it to the caller.
    static func reply(_ alarm: Alarm, to caller: Caller) -> [UInt8] {
        JSON.object(caller.seesAlarms ? json(alarm) : name(alarm)).bytes
    }

    /// What a caller may see who changes alarms and does not hold `events:read`: that its change has happened.
    private static func name(_ alarm: Alarm) -> JSONObject {
        let whole = json(alarm)
        var part = JSONObject()
        for name in changedNames { part[name] = whole[name] }
        return part
    }

    static func json(_ alarm: Alarm) -> JSONObject {
        var object: JSONObject = [
            "alarm_id": .string(AlarmPlaceholder.id(of: alarm)),
            "dealer_id": .string(alarm.dealerID.text),
            "site_id": .string(alarm.siteID.text),
        ]
        object["partition_id"] = alarm.partitionID.map { .string($0.text) }
        object["device_id"] = alarm.deviceID.map { .string($0.text) }
        object["class"] = .string(alarm.alarmClass.rawValue)
        object["state"] = .string(alarm.state.rawValue)
        object["priority"] = .string(alarm.priority.rawValue)
        object["trigger"] = .string(alarm.trigger)
        object["location"] = alarm.location.map(JSON.string)
        object["zones"] = .array(alarm.zones.map { ["number": JSON($0.number), "name": .string($0.name)] })
        object["silent"] = .bool(alarm.isSilent)
        object["late"] = .bool(alarm.isLate)
        object["verified"] = .bool(alarm.isVerified)
        object["created_at"] = .string(alarm.createdAt.rfc3339Milliseconds)
        object["acknowledged"] = alarm.acknowledged.map { mark in
            var members = mark.json
            members["reason"] = alarm.reason.map(JSON.string)
            return .object(members)
        }
        if let mark = alarm.dispatched, let dispatch = alarm.dispatch {
            var members = mark.json
            for member in dispatch.json.members { members[member.name] = member.value }
            object["dispatched"] = .object(members)
        }
        if let mark = alarm.resolved {
            var members = mark.json
            members["resolution"] = alarm.resolution.map { .string($0.rawValue) }
            members["notes"] = alarm.notes.map(JSON.string)
            object["resolved"] = .object(members)
        }
        if let mark = alarm.escalated {
            var members = mark.json
            members["reason"] = alarm.escalationReason.map(JSON.string)
            object["escalated"] = .object(members)
        }
        object["verification"] = alarm.verification.map { .object(json($0)) }
        object["version"] = .integer(alarm.version)
        return object
    }

    private static func json(_ verification: AlarmVerification) -> JSONObject {
        var object: JSONObject = [
            "state": "open", "requested_by": .string(verification.requestedBy),
            "requested_at": .string(verification.requested.at.rfc3339Milliseconds),
            "deadline": .string(verification.deadline.rfc3339Milliseconds),
        ]
        switch verification.outcome {
        case nil: break
        case .answered(let verdict, let mark, let notes):
            object["state"] = "answered"
            object["verdict"] = .string(verdict.rawValue)
            object["operator_id"] = .string(mark.by.id)
            object["ended_at"] = .string(mark.at.rfc3339Milliseconds)
            object["notes"] = notes.map(JSON.string)
        case .expired(let at):
            object["state"] = "expired"
            object["ended_at"] = .string(at.rfc3339Milliseconds)
        case .dropped(let at):
            object["state"] = "dropped"
            object["ended_at"] = .string(at.rfc3339Milliseconds)
        }
        return object
    }

    static func json(_ entry: AlarmEntry) -> JSON {
        var object: JSONObject = [
            "position": .integer(entry.position), "at": .string(entry.at.rfc3339Milliseconds),
            "kind": .string(entry.kind.rawValue),
            "by": ["kind": .string(entry.actor.kind.rawValue), "id": .string(entry.actor.id)],
            "text": .string(entry.text),
        ]
        if !entry.details.isEmpty { object["details"] = .object(entry.details) }
        object["event_id"] = entry.eventID.map { .string($0.text) }
        return .object(object)
    }
}

extension AlarmMark {
    fileprivate var json: JSONObject {
        ["operator_id": .string(by.id), "at": .string(at.rfc3339Milliseconds)]
    }
}

extension Caller {
    /// Whether alarms may be shown to it: as their events may (decisions §2).
    var seesAlarms: Bool { holds(.eventsRead) }

    /// What it is called in `requested_by` and as the source of an annotation.
    var operatorKind: String {
        switch self {
        case .anonymous, .platformAdmin, .dealerAdmin: "operator"
        case .app: "app"
        case .partner: "partner"
        }
    }
}

/// Stands for an alarm's number in a reply that is kept before the commit has given one.
///
/// The reply to a repetition is stored in the alarm's own transaction (decisions §1); so it names the alarm by its
/// incident, and whoever sends it writes the number in.
enum AlarmPlaceholder {
    private static let start = "\"alarm_id\":\"incident:"

    static func id(of alarm: Alarm) -> String {
        alarm.number?.description ?? "incident:\(alarm.siteID)/\(alarm.incident.value)"
    }

    /// The reply with the number, where it has a place for one.
    static func filled(_ reply: Reply, from ledger: any Ledger) async throws -> Reply {
        guard case .bytes(let bytes, let type) = reply.body, bytes.contains(start.utf8) else { return reply }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let opening = text.firstRange(of: start) else { return reply }
        let name = text[opening.upperBound...].prefix { $0 != "\"" }
        let parts = name.split(separator: "/")
        guard parts.count == 2, let incident = Int64(parts[1]) else { return reply }
        let site = SiteID(stored: String(parts[0]))
        let alarm = try await ledger.read { try $0.alarm(IncidentID(incident), of: site) }
        guard let number = alarm?.number else { throw APIError.internalFailure }
        var filled = reply
        let whole = text.replacing("\(start)\(name)\"", with: "\"alarm_id\":\"\(number)\"", maxReplacements: 1)
        filled.body = .bytes(Array(whole.utf8), contentType: type)
        return filled
    }
}
