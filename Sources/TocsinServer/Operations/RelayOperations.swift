import HTTPTypes
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What of a site can be switched: sirens, strobes, gates (decisions §7).
enum RelayOperations {
    static let all = [
        list, create, get, patch, delete, RelayActions.activate, RelayActions.deactivate, RelayActions.rotateSecret,
    ]

    static let parts = SiteParts(
        kind: .relay,
        idName: "relay_id",
        notFound: .relayNotFound,
        maximum: Relay.maximumPerSite
    )

    // MARK: Forms

    private static func numbers(_ range: ClosedRange<Int>, _ noun: String) -> Schema {
        .array(of: .integer(range), count: 1...100)
            .described("The numbers of the \(noun) that an alarm must come from; left out: any.")
    }

    static let duration = Schema.integer(Relay.durationSeconds).described("After which it switches off by itself.")

    private static let rule = Schema.object([
        .required("on", .oneOf([EventType.alarmCreated.rawValue])),
        .optional("priorities", .array(of: .oneOf(AlarmPriority.self), count: 1...AlarmPriority.allCases.count)),
        .optional("classes", .array(of: .oneOf(AlarmClass.self), count: 1...AlarmClass.allCases.count)),
        .optional("partitions", numbers(1...999, "partitions")),
        .optional("zones", numbers(1...9999, "zones")),
        .optional("silent", Schema.boolean.described("Whether it holds for silent alarms too, such as duress.")),
        .required("duration_seconds", duration),
    ]).named("RelayRule")

    private static let rules = Schema.array(of: rule, count: 0...Relay.maximumRules)
        .described("The alarms that switch it on.")

    private static let secret = Schema.string(1...200).writeOnly
        .described("`whsec_` and the base64 of 32 bytes; left out: the present one, or a new one is drawn.")

    private static let newActuator = Schema.object([
        .required("type", .oneOf(Relay.ActuatorType.self)),
        .optional("url", .string(1...EndpointURL.lengthMax, format: "uri")),
        .optional("secret", secret),
    ]).described("Who switches it: a bridge that commands are posted to, or the program's log.")

    private static let members: [Schema.Property] = [
        .required("relay_id", .id(RelayNoun.prefix)), .required("site_id", .id(SiteNoun.prefix)),
        .required("name", .string(1...500)), .optional("device_id", .id(DeviceNoun.prefix)),
        .required("rules", rules),
        .required(
            "actuator",
            .object([
                .required("type", .oneOf(Relay.ActuatorType.self)),
                .optional("url", .string(1...EndpointURL.lengthMax, format: "uri")),
            ])
        ),
        .required("is_active", .boolean), .optional("active_since", .time), .optional("active_until", .time),
        .optional(
            "trigger",
            Schema.string(1...200).described("What switched it on; shown to callers with `events:read`.")
                .example("alarm.created:A-10293")
        ),
        .optional(
            "last_command",
            Schema.object([
                .required("command_id", .id(RelayCommandNoun.prefix)), .required("command", .oneOf(["on", "off"])),
                .required("state", .oneOf(RelayCommand.State.self)), .required("attempts", .count),
                .required("created_at", .time), .optional("last_error", .string(0...Schema.textLengthMax)),
            ]).described("What whoever switches it was told last, and whether it got there.")
        ),
    ]

    static let schema = Schema.object(members).named("Relay")

    static let withSecret = Schema.object(
        members + [
            .optional("secret", Schema.string(1...200).described("What commands are signed with, shown once."))
        ]
    ).named("RelayWithSecret")

    private static func settings(isNullable: Bool) -> [Schema.Property] {
        [("device_id", .id(DeviceNoun.prefix)), ("rules", rules), ("actuator", newActuator)]
            .map { (name: String, schema: Schema) in .optional(name, isNullable ? schema.nullable : schema) }
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/sites/{site_id}/relays",
        id: "listSiteRelays",
        tag: .sites,
        summary: "List a site's relays, by name",
        callers: .holding(.devicesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of relays.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let (id, reach, page) = (try call.siteID, try call.reach, try call.page)
            return try await call.read { reader in
                let record = try SiteOperations.found(reader.siteRecord(id, within: reach))
                let found = try reader.fixtures(of: id, kind: .relay, within: reach, page: page)
                return .page(try found.items.map { .object(try object($0, record, call, reader)) }, next: found.next)
            }
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/relays",
        id: "createRelay",
        tag: .sites,
        summary: "Add a relay to a site",
        notes: "Where no secret is given for a bridge, one is drawn and shown in this reply only.",
        callers: .holding(.sitesWrite),
        body: .json(Schema.object([.required("name", .name)] + settings(isNullable: false)).named("NewRelay")),
        replies: [.created("The new relay.", withSecret)],
        errors: [.siteNotFound, .deviceNotFound, .alreadyExists, .tooMany],
        handle: { call in
            let id: RelayID = call.newID()
            let site = try call.siteID
            let name = try call.body.string("name")
            let drawn = call.newSigningSecret()
            return try await call.commit { transaction in
                let record = try parts.siteWithRoom(call, transaction)
                var relay = Fixture(id: id.text, siteID: site, kind: .relay, number: nil, name: name, settings: [:])
                let shown = try apply(call, to: &relay, record, transaction, drawn: drawn)
                try transaction.insert(relay)
                let reply = try reply(.created, relay, record, call, transaction, secret: shown)
                return parts.change(reply, "create", relay, record, "was added")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/relays/{relay_id}",
        id: "getRelay",
        tag: .sites,
        summary: "Get a relay",
        callers: .holding(.devicesRead),
        replies: [.ok("The relay.", schema)],
        errors: [.relayNotFound],
        handle: { call in
            try await call.read { reader in
                let (relay, record) = try found(call, reader)
                return .ok(.object(try object(relay, record, call, reader)))
            }
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/relays/{relay_id}",
        id: "patchRelay",
        tag: .sites,
        summary: "Change a relay",
        notes: """
            A member that is null is taken away. A relay that is on stays on until its end; while it is on, who switches \
            it cannot be changed: the present one must be told to switch off.
            """,
        callers: .holding(.sitesWrite),
        body: .json(.object([.optional("name", .name)] + settings(isNullable: true))),
        replies: [.ok("The relay as it is now.", withSecret)],
        errors: [.relayNotFound, .deviceNotFound, .alreadyExists, .invalidTransition, .versionConflict],
        handle: { call in
            let drawn = call.newSigningSecret()
            return try await call.commit { transaction in
                var (relay, record) = try found(call, transaction)
                try call.checkVersion(record.shownVersion)
                relay.name = call.body.optionalString("name") ?? relay.name
                let before = relay
                let shown = try apply(call, to: &relay, record, transaction, drawn: drawn)
                try checkActuator(of: relay, before, record, transaction)
                try transaction.update(relay)
                let reply = try reply(.ok, relay, record, call, transaction, secret: shown)
                return parts.change(reply, "change", relay, record, "was changed")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/relays/{relay_id}",
        id: "deleteRelay",
        tag: .sites,
        summary: "Delete a relay",
        notes: """
            One that is on, or was not told yet to switch off, is deleted only with `force`: it may stay on then. So is one \
            that a schedule switches on, which does nothing then.
            """,
        callers: .holding(.sitesWrite),
        query: [.force],
        replies: [.noContent("The relay is gone.")],
        errors: [.relayNotFound, .deletionRefused, .versionConflict],
        handle: { call in
            try await call.commit { transaction in
                let (relay, record) = try found(call, transaction)
                try call.checkVersion(record.shownVersion)
                if !call.isForced, let obstacle = try DeletionGuard(transaction).obstacle(toRelay: relay, in: record) {
                    throw APIError(
                        .deletionRefused,
                        "The relay \(obstacle.clause). \(obstacle.remedy), or delete with ?force=true.",
                        details: obstacle.schedule.map { ["schedule_id": .string($0.text)] } ?? [:]
                    )
                }
                try transaction.deleteFixture(relay.id, of: relay.siteID)
                return parts.change(.noContent, "delete", relay, record, "was deleted")
            }
        }
    )

    // MARK: Parts

    /// Refuses to change who switches a relay while that would leave it on.
    private static func checkActuator(
        of relay: Fixture,
        _ before: Fixture,
        _ record: SiteRecord,
        _ reader: any LedgerReader
    ) throws {
        guard try RelayGuard.strands(before, changedTo: relay, in: record, reader) else { return }
        throw APIError(
            .invalidTransition,
            "The relay is on, and who switches it now would not be told to switch off. Deactivate it first.",
            field: relay.settings["device_id"] == before.settings["device_id"] ? "actuator" : "device_id"
        )
    }

    /// The relay that the path names, with its site.
    static func found(_ call: Call, _ reader: any LedgerReader) throws -> (fixture: Fixture, record: SiteRecord) {
        let id: RelayID = try call.id("relay_id", orThrow: .relayNotFound)
        let reach = try call.reach
        guard let relay = try reader.fixture(id.text, kind: .relay, within: reach),
            let record = try reader.siteRecord(relay.siteID, within: reach)
        else { throw APIError.missing(.relayNotFound) }
        return (relay, record)
    }

    static func reply(
        _ status: HTTPResponse.Status,
        _ relay: Fixture,
        _ record: SiteRecord,
        _ call: Call,
        _ reader: any LedgerReader,
        secret: String?
    ) throws -> Reply {
        var object = try object(relay, record, call, reader)
        object["secret"] = secret.map(JSON.string)
        let reply = Reply(status, body: .bytes(JSON.object(object).bytes, contentType: Reply.jsonType))
        return secret == nil ? reply : reply.uncached
    }

    private static func object(
        _ fixture: Fixture,
        _ record: SiteRecord,
        _ call: Call,
        _ reader: any LedgerReader
    ) throws -> JSONObject {
        let settings = fixture.settings
        var object: JSONObject = [
            "relay_id": .string(fixture.id), "site_id": .string(fixture.siteID.text), "name": .string(fixture.name),
        ]
        object["device_id"] = settings["device_id"]
        object["rules"] = settings["rules"] ?? []
        var actuator: JSONObject = ["type": settings["actuator"]?["type"] ?? .string(Relay.ActuatorType.log.rawValue)]
        actuator["url"] = settings["actuator"]?["url"]
        object["actuator"] = .object(actuator)
        let id = RelayID(stored: fixture.id)
        let state = record.state.relays[id].flatMap { $0.until > call.receivedAt ? $0 : nil }
        object["is_active"] = .bool(state != nil)
        if let state {
            object["active_since"] = .string(state.since.rfc3339Seconds)
            object["active_until"] = .string(state.until.rfc3339Seconds)
            // Whoever hears of no alarms must not learn here of a silent one (decisions §7).
            if call.caller.seesAlarms {
                object["trigger"] = try text(of: state.trigger, at: fixture.siteID, reader).map(JSON.string)
            }
        }
        let reach = try call.reach
        object["last_command"] = try reader.lastCommand(of: id, within: reach).map(\.json)
        return object
    }

    private static func text(
        of trigger: RelayTrigger,
        at site: SiteID,
        _ reader: any LedgerReader
    ) throws -> String? {
        let name = EventType.alarmCreated.rawValue
        return switch trigger {
        case .alarm(.existing(let number)): "\(name):\(number)"
        case .alarm(.incident(let id)): try reader.alarmNumber(of: id, at: site).map { "\(name):\($0)" }
        case .schedule(let id): "schedule:\(id)"
        case .manual(let caller): "manual:\(caller)"
        }
    }
}

extension RelayCommand {
    fileprivate var json: JSON {
        var object: JSONObject = [
            "command_id": .string(id.text), "command": .string(word), "state": .string(state.rawValue),
            "attempts": JSON(attempts), "created_at": .string(createdAt.rfc3339Seconds),
        ]
        object["last_error"] = lastError.map { .string(String($0.prefix(Schema.textLengthMax))) }
        return .object(object)
    }
}

// MARK: - Settings

extension RelayOperations {
    /// Takes over what the body names; returns a secret that must be shown.
    private static func apply(
        _ call: Call,
        to relay: inout Fixture,
        _ record: SiteRecord,
        _ reader: any LedgerReader,
        drawn: String
    ) throws -> String? {
        SiteParts.take(["device_id", "rules"], of: call.body, to: &relay)
        if let device = call.body.optionalString("device_id"),
            try reader.fixture(device, kind: .device, within: .platform)?.siteID != relay.siteID
        {
            throw APIError.missing(.deviceNotFound, field: "device_id")
        }
        let shown = try takeActuator(of: call, to: &relay, drawn: drawn)
        let read: Relay
        do throws(RelayProblem) {
            read = try Relay(relay)
        } catch {
            throw APIError.invalid(error.field, error.message)
        }
        for (index, rule) in read.rules.enumerated() {
            if let number = rule.unknownPartition(at: record.configuration) {
                throw APIError.invalid(
                    "rules[\(index)].partitions",
                    "names partition \(number), which the site does not have"
                )
            }
            if let number = rule.unknownZone(at: record.configuration) {
                throw APIError.invalid("rules[\(index)].zones", "names zone \(number), which the site does not have")
            }
        }
        relay.settings = read.settings
        return shown
    }

    private static func takeActuator(of call: Call, to relay: inout Fixture, drawn: String) throws -> String? {
        guard let wanted = call.body.fields("actuator") else {
            if call.body.has("actuator") { relay.settings["actuator"] = nil }
            return nil
        }
        let type: Relay.ActuatorType = try wanted.value("type")
        guard type == .webhook else {
            for member in ["url", "secret"] where wanted.has(member) {
                throw APIError.invalid("actuator.\(member)", "is for a webhook: leave it out")
            }
            relay.settings["actuator"] = nil
            return nil
        }
        guard let url = wanted.optionalString("url") else {
            throw APIError.invalid("actuator.url", "is required for a webhook")
        }
        try checkURL(url, call)
        let present = relay.settings["actuator"]?["sealed_secret"]?.string
        let given = wanted.optionalString("secret")
        if let given, WebhookSecret.key(of: given) == nil {
            throw APIError.invalid("actuator.secret", "must be “whsec_” and the base64 of 32 bytes")
        }
        let fresh = given ?? (present == nil ? drawn : nil)
        let sealed = try fresh.map { try seal($0, of: RelayID(stored: relay.id), call) } ?? present ?? ""
        relay.settings["actuator"] = [
            "type": .string(type.rawValue), "url": .string(url), "sealed_secret": .string(sealed),
        ]
        return given == nil ? fresh : nil
    }

    private static func checkURL(_ url: String, _ call: Call) throws {
        do throws(EndpointURLError) {
            _ = try EndpointURL(url, policy: call.services.settings.egress)
        } catch {
            throw APIError(
                .validationFailed,
                "\(error.sentence) \(error.remedy)",
                field: "actuator.url",
                details: ["reason": .string(error.code.rawValue)]
            )
        }
    }

    /// The secret as the relay's settings keep it.
    static func seal(_ secret: String, of relay: RelayID, _ call: Call) throws -> String {
        try RelaySecret.sealed(secret, of: relay, vault: call.services.vault)
    }
}
