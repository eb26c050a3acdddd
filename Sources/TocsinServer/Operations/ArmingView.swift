import TocsinCore
import TocsinJSON
import TocsinLedger

/// How the arming state of a site is shown (decisions §5).
///
/// Nothing here may tell of a silent incident: state, readiness and `in_alarm` are what somebody at the premises sees,
/// who may be the one that is feared (I17).
enum ArmingView {
    // MARK: Forms

    static let siteSchema = Schema.object([
        .required("site_id", .id(SiteNoun.prefix)),
        .required("arming_model", .oneOf(ArmingModel.self)),
        .required("partitions", .array(of: partitionSchema, count: 0...Partition.maximumPerSite)),
        .required("zones", .array(of: zoneSchema)),
    ]).named("SiteArming")

    /// The reply to a command: the partitions that it was about, as they are now.
    static let replySchema = Schema.object([
        .required("site_id", .id(SiteNoun.prefix)),
        .required("arming_model", .oneOf(ArmingModel.self)),
        .required("partitions", .array(of: partitionSchema, count: 0...Partition.maximumPerSite)),
    ]).named("ArmingReply")

    private static let states = ReportedState.allCases.filter { $0 != .armFailure }.map(\.rawValue)

    private static let partitionSchema = Schema.object([
        .required("partition_id", .id(PartitionNoun.prefix)),
        .required("name", .name),
        .required("number", .integer(1...Int64(Partition.maximumPerSite))),
        .required("state", .oneOf(states)),
        .optional("mode", Schema.string(1...64).described("What it is armed in, or arming to.")),
        .required("since", .time),
        .optional("by", personSchema),
        .required(
            "ready",
            .object([.required("away", .boolean), .required("stay", .boolean), .required("night", .boolean)])
        ),
        .required("not_ready", .array(of: obstacleSchema)),
        .required("bypassed_zones", .array(of: .integer(1...9999))),
        .optional("exit_delay_ends_at", .time),
        .optional("entry_delay_ends_at", .time),
        .required("in_alarm", .boolean),
        .required("alarm_memory", .boolean),
        .required("version", .count),
    ]).named("PartitionArming")

    static let personSchema = Schema.object([
        .optional("user_id", .string(1...255)), .optional("name", .name), .required("method", .oneOf(Source.self)),
    ])

    private static let reasonMembers: [Schema.Property] = [
        .required("code", .string(1...64)),
        .optional("zone_number", .integer(1...9999)),
        .optional("zone_name", .name),
        .required("message", .string(1...500)),
        .required("remedy", .string(1...500)),
    ]

    private static let obstacleSchema = Schema.object(
        reasonMembers + [
            .required("modes", Schema.array(of: .string(1...16)).described("The modes that it stands against."))
        ]
    )

    private static let zoneSchema = Schema.object([
        .required("zone_id", .id(ZoneNoun.prefix)),
        .optional("number", .integer(1...9999)),
        .required("name", .name),
        .optional("type", .oneOf(ZoneType.self)),
        .required("state", .oneOf(ZoneCondition.self)),
    ])

    // MARK: JSON

    /// The site with all of its partitions and zones.
    static func site(_ record: SiteRecord, zones: [Fixture]) -> JSON {
        var object = head(record, .all)
        let secret = Set(record.configuration.zones.filter(\.isSecret).map(\.id.text))
        object["zones"] = .array(
            zones.map { zone in
                var said = record.state.zones[ZoneID(stored: zone.id)] ?? ZoneState()
                if secret.contains(zone.id) { said.isOpen = false }
                var object: JSONObject = ["zone_id": .string(zone.id)]
                object["number"] = zone.number.map { JSON($0) }
                object["name"] = .string(zone.name)
                object["type"] = zone.settings["type"]
                object["state"] = .string(said.condition.rawValue)
                return .object(object)
            }
        )
        return .object(object)
    }

    /// The reply to a command.
    static func reply(_ record: SiteRecord, about target: PartitionTarget) -> [UInt8] {
        JSON.object(head(record, target)).bytes
    }

    private static func head(_ record: SiteRecord, _ target: PartitionTarget) -> JSONObject {
        let configuration = record.configuration
        // What stands against arming does not depend on the time of day.
        let machine = SiteMachine(configuration: configuration, state: record.state)
        let partitions = configuration.partitions.filter { target.covers($0) }.compactMap { partition in
            record.state.partitions[partition.id].map { json(partition, $0, machine) }
        }
        return [
            "site_id": .string(configuration.site.id.text),
            "arming_model": .string(configuration.site.armingModel.rawValue),
            "partitions": .array(partitions),
        ]
    }

    private static func json(_ partition: Partition, _ state: PartitionState, _ machine: SiteMachine) -> JSON {
        var object: JSONObject = [
            "partition_id": .string(partition.id.text),
            "name": .string(partition.name),
            "number": JSON(partition.number),
            "state": .string(state.phase.wireState),
        ]
        object["mode"] = state.phase.mode.map { .string($0.wireName) }
        object["since"] = .string(state.since.rfc3339Seconds)
        object["by"] = state.by.map(person)
        let readiness = machine.readiness(of: partition)
        object["ready"] = .object(
            readiness.reduce(into: JSONObject()) { $0[$1.mode.wireName] = .bool($1.reasons.isEmpty) }
        )
        object["not_ready"] = obstacles(readiness)
        object["bypassed_zones"] = .array(
            machine.configuration.zones.filter { state.bypassed[$0.id] != nil }.map { JSON($0.number) }
        )
        object["exit_delay_ends_at"] = exitEnd(state).map { .string($0.rfc3339Milliseconds) }
        object["entry_delay_ends_at"] = state.countdown.map { .string($0.deadline.rfc3339Milliseconds) }
        object["in_alarm"] = .bool(state.inAlarm)
        object["alarm_memory"] = .bool(state.alarmMemory)
        object["version"] = .integer(state.version)
        return .object(object)
    }

    static func person(_ by: Attribution) -> JSON {
        var person = JSONObject()
        person["user_id"] = by.userID.map(JSON.string)
        person["name"] = by.name.map(JSON.string)
        person["method"] = .string(by.source.rawValue)
        return .object(person)
    }

    /// Each reason once, with the modes that it stands against.
    private static func obstacles(_ readiness: [Readiness]) -> JSON {
        var order: [ArmFailureReason] = []
        var modes: [ArmFailureReason: [String]] = [:]
        for item in readiness {
            for reason in item.reasons {
                if modes[reason] == nil { order.append(reason) }
                modes[reason, default: []].append(item.mode.wireName)
            }
        }
        return .array(
            order.map { reason in
                var object = json(reason)
                object["modes"] = JSON(modes[reason] ?? [])
                return .object(object)
            }
        )
    }

    static func json(_ reason: ArmFailureReason) -> JSONObject {
        var object: JSONObject = ["code": .string(reason.code)]
        object["zone_number"] = reason.zoneNumber.map { JSON($0) }
        object["zone_name"] = reason.zoneName.map(JSON.string)
        object["message"] = .string(reason.message)
        object["remedy"] = .string(reason.remedy)
        return object
    }

    /// When the exit delay ends: our own, or the one that a partner announced.
    private static func exitEnd(_ state: PartitionState) -> Instant? {
        guard case .arming = state.phase else { return nil }
        return state.exit?.deadline ?? state.overdueAt.map { $0 - overdueGrace }
    }

    /// What an announced arming has beyond its delay before it counts as overdue (decisions §4).
    private static let overdueGrace: Duration = .seconds(5)
}
