import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// The zones of a site (decisions §11; design, arming: zone classes), with the settings of the fleet file (§12).
enum ZoneOperations {
    static let all = [list, create, get, patch, delete]

    private static let parts = SiteParts(kind: .zone, idName: "zone_id", notFound: .zoneNotFound)
    /// As the fleet file allows them: three digits on a panel, four on a large one.
    private static let numbers = Schema.integer(1...9999)
    /// False alarms of one zone in an arming period until it is left out (design, arming: swinger shutdown).
    private static let swingerLimit = Schema.integer(1...6)
    private static let seconds = Schema.integer(
        Int64(Partition.delaySeconds.lowerBound)...Int64(Partition.delaySeconds.upperBound)
    )
    /// The fixed modes, in the order in which the fleet file keeps them.
    private static let modes = ["away", "stay", "night", "custom"]

    /// What may be left out, and is then the zone type's own; in a patch null means the same.
    private static let optionals: [(name: String, schema: Schema)] = [
        ("kind", .string(1...40).described("What detects: `contact`, `motion`, `smoke`, …")),
        (
            "partitions",
            .array(of: .integer(1...999), count: 1...Partition.maximumPerSite)
                .described("The numbers of the partitions that it guards; left out: all of them.")
        ),
        ("device_id", .id(DeviceNoun.prefix)),
        ("modes", .array(of: .oneOf(modes), count: 0...modes.count).described("The modes in which it is active.")),
        ("entry_delay_seconds", seconds),
        ("delay_on_seconds", seconds),
        ("silent", .boolean),
        ("swinger_limit", swingerLimit),
        ("swinger_exempt", .boolean),
        ("bypassable", .boolean),
        ("force_armable", Schema.boolean.described("Whether `force_arm` may leave it out while it is open.")),
        ("entry_override", Schema.boolean.described("While an entry delay runs it belongs to the way in.")),
        ("abort_window", Schema.boolean.described("Whether its alarms wait in the partition's abort window.")),
        (
            "cross_group",
            Schema.string(1...40).described("Two zones of a group make an alarm, one alone only a trouble.")
        ),
        ("exterior", Schema.boolean.described("Outdoors: alarms, but verifies nothing.")),
    ]

    private static let settings = optionals.map { Schema.Property.optional($0.name, $0.schema) }

    private static let schema = Schema.object(
        [
            .required("zone_id", .id(ZoneNoun.prefix)),
            .required("site_id", .id(SiteNoun.prefix)),
            .required("number", numbers),
            .required("name", .name),
            .required("type", .oneOf(ZoneType.self)),
        ] + settings
    ).named("Zone")

    private static let newZone = Schema.object(
        [.required("number", numbers), .required("name", .name), .required("type", .oneOf(ZoneType.self))] + settings
    ).named("NewZone")

    private static let zonePatch = Schema.object(
        [.optional("number", numbers), .optional("name", .name), .optional("type", .oneOf(ZoneType.self))]
            + optionals.map { .optional($0.name, $0.schema.nullable) }
    )

    private static func json(_ zone: Fixture) -> JSON {
        var object: JSONObject = ["zone_id": .string(zone.id), "site_id": .string(zone.siteID.text)]
        object["number"] = zone.number.map { JSON($0) }
        object["name"] = .string(zone.name)
        object["type"] = zone.settings["type"]
        for setting in optionals { object[setting.name] = zone.settings[setting.name] }
        return .object(object)
    }

    // MARK: Operations

    private static let list = Operation(
        .get,
        "/v1/sites/{site_id}/zones",
        id: "listZones",
        tag: .sites,
        summary: "List a site's zones, by number",
        callers: .holding(.sitesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of zones.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let found = try await SiteParts.page(call, of: .zone)
            return .page(found.items.map(json), next: found.next)
        }
    )

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/zones",
        id: "createZone",
        tag: .sites,
        summary: "Add a zone to a site",
        callers: .holding(.sitesWrite),
        body: .json(newZone),
        replies: [.created("The new zone.", schema)],
        errors: [.siteNotFound, .deviceNotFound, .alreadyExists, .tooMany],
        handle: { call in
            let site = try call.siteID
            let zoneID: ZoneID = call.newID()
            let (number, name) = (try call.body.integer("number"), try call.body.string("name"))
            return try await call.commit { transaction in
                let record = try parts.siteWithRoom(call, transaction)
                var zone = Fixture(
                    id: zoneID.text,
                    siteID: site,
                    kind: .zone,
                    number: number,
                    name: name,
                    settings: [:]
                )
                try apply(call.body, to: &zone, record, transaction)
                try ConfigurationChecks.check(zone, under: record.configuration.site.complianceProfile)
                try transaction.insert(zone)
                return parts.change(.created(json(zone)), "create", zone, record, "was added")
            }
        }
    )

    private static let get = Operation(
        .get,
        "/v1/sites/{site_id}/zones/{zone_id}",
        id: "getZone",
        tag: .sites,
        summary: "Get a zone",
        callers: .holding(.sitesRead),
        replies: [.ok("The zone.", schema)],
        errors: [.siteNotFound, .zoneNotFound],
        handle: { call in
            .ok(json(try await call.read { try parts.found(call, $0).fixture }))
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/sites/{site_id}/zones/{zone_id}",
        id: "patchZone",
        tag: .sites,
        summary: "Change a zone",
        notes: "A setting that is null becomes the zone type's own again.",
        callers: .holding(.sitesWrite),
        body: .json(zonePatch),
        replies: [.ok("The zone as it is now.", schema)],
        errors: [.siteNotFound, .zoneNotFound, .deviceNotFound, .alreadyExists, .siteArmed, .versionConflict],
        handle: { call in
            try await call.commit { transaction in
                var (zone, record) = try parts.found(call, transaction)
                try call.checkVersion(record.shownVersion)
                zone.number = call.body.optionalInteger("number") ?? zone.number
                zone.name = call.body.optionalString("name") ?? zone.name
                try apply(call.body, to: &zone, record, transaction)
                try ConfigurationChecks.check(zone, under: record.configuration.site.complianceProfile)
                try ConfigurationChecks.checkGuard(of: zone, in: record)
                try transaction.update(zone)
                return parts.change(.ok(json(zone)), "change", zone, record, "was changed")
            }
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/sites/{site_id}/zones/{zone_id}",
        id: "deleteZone",
        tag: .sites,
        summary: "Delete a zone",
        callers: .holding(.sitesWrite),
        query: [.force],
        replies: [.noContent("The zone is gone.")],
        errors: [.siteNotFound, .zoneNotFound, .siteArmed, .siteInAlarm, .versionConflict],
        handle: { call in
            try await call.commit { transaction in
                let (zone, record) = try parts.found(call, transaction)
                try call.checkVersion(record.shownVersion)
                if !call.isForced {
                    try APIError.refuse(DeletionGuard.obstacles(to: guarded(by: zone, record), in: record))
                }
                try transaction.deleteFixture(zone.id, of: zone.siteID)
                return parts.change(.noContent, "delete", zone, record, "was deleted")
            }
        }
    )

    // MARK: Parts

    /// Takes over the settings that the body names; null takes one away.
    private static func apply(
        _ body: Fields,
        to zone: inout Fixture,
        _ record: SiteRecord,
        _ reader: any LedgerReader
    ) throws {
        if body.has("type") { zone.settings["type"] = body.object["type"] }
        for setting in optionals where body.has(setting.name) {
            let value = body.object[setting.name]
            zone.settings[setting.name] = value == .null ? nil : value
        }
        if let numbers = body.object["partitions"]?.array?.compactMap(\.integer).map(Int.init) {
            if Set(numbers).count < numbers.count { throw APIError.invalid("partitions", "names a partition twice") }
            let known = Set(record.configuration.partitions.map(\.number))
            for (index, number) in numbers.enumerated() where !known.contains(number) {
                throw APIError.invalid("partitions[\(index)]", "is not the number of a partition of the site")
            }
            zone.settings["partitions"] = .array(numbers.sorted().map { JSON($0) })
        }
        if let wanted = body.strings("modes") { zone.settings["modes"] = JSON(modes.filter(wanted.contains)) }
        if let device = body.optionalString("device_id"),
            try reader.fixture(device, kind: .device, within: .platform)?.siteID != zone.siteID
        {
            throw APIError.missing(.deviceNotFound, field: "device_id")
        }
    }

    /// The partitions that the zone belongs to; one that names none belongs to all.
    private static func guarded(by zone: Fixture, _ record: SiteRecord) -> [Partition] {
        guard let numbers = zone.settings["partitions"]?.array?.compactMap(\.integer) else {
            return record.configuration.partitions
        }
        return record.configuration.partitions.filter { numbers.contains(Int64($0.number)) }
    }
}
