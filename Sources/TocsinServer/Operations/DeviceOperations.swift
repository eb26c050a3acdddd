import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// The devices of a site: made, changed, and told with what is known of them just now (decisions §7, §11).
enum DeviceOperations {
    static let all = [listOfSite, create, list, get, patch, delete]

    static let schema = Schema.object([
        .required("device_id", .id(DeviceNoun.prefix)),
        .required("site_id", .id(SiteNoun.prefix)),
        .required("name", .string(1...500)),
        .required("type", .oneOf(DeviceType.self)),
        .optional("bridge_id", Schema.id(DeviceNoun.prefix).described("The bridge that it hangs on.")),
        .optional("firmware_version", Schema.string(1...100).described("What it told last.")),
        .required("status", Schema.oneOf(DeviceStatus.self).described("`unknown`: it was never seen.")),
        .optional("last_seen_at", .time),
    ]).named("Device")

    static let firmwareVersion = Schema.string(1...100)

    private static let newDevice = Schema.object([
        .required("name", .name),
        .required("type", .oneOf(DeviceType.self)),
        .optional("bridge_id", Schema.id(DeviceNoun.prefix).nullable),
        .optional("firmware_version", firmwareVersion.nullable),
    ]).named("NewDevice").example(["name": "Hall camera", "type": "camera"])

    private static let devicePatch = Schema.object([
        .optional("name", .name),
        .optional("type", .oneOf(DeviceType.self)),
        .optional("bridge_id", Schema.id(DeviceNoun.prefix).nullable),
        .optional("firmware_version", firmwareVersion.nullable),
    ])

    private static let parts = SiteParts(kind: .device, idName: "device_id", notFound: .deviceNotFound)

    static func json(_ device: StoredDevice, _ view: DeviceView?) -> JSON {
        let fixture = device.fixture
        var object: JSONObject = [
            "device_id": .string(fixture.id), "site_id": .string(fixture.siteID.text), "name": .string(fixture.name),
        ]
        object["type"] = fixture.settings["type"]
        object["bridge_id"] = fixture.settings["bridge_id"]
        object["firmware_version"] = device.firmwareVersion.map(JSON.string)
        let status = view?.status ?? (device.isOffline ? .offline : .unknown)
        object["status"] = .string(status.rawValue)
        object["last_seen_at"] = view?.lastSeenAt.map { .string($0.rfc3339Seconds) }
        return .object(object)
    }

    /// The devices with what is known of them just now.
    private static func told(_ devices: [StoredDevice], _ call: Call) async throws -> [JSON] {
        let views = try await call.services.devices.views(of: devices.map(\.id))
        return devices.map { json($0, views[$0.id]) }
    }

    // MARK: Reading

    private static let listOfSite = Operation(
        .get,
        "/v1/sites/{site_id}/devices",
        id: "listSiteDevices",
        tag: .devices,
        summary: "List a site's devices, by name",
        callers: .holding(.devicesRead),
        query: Operation.pageParameters,
        replies: [.ok("A page of devices.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let (site, reach) = (try call.siteID, try call.reach)
            return try await page(call, .site(site), reach, siteField: nil)
        }
    )

    private static let list = Operation(
        .get,
        "/v1/devices",
        id: "listDevices",
        tag: .devices,
        summary: "List devices: of a site, with these ids, or all",
        notes: """
            In the order in which they were made; with `site_id` or `ids` by name. An id that is unknown, or not the \
            caller's to see, is left out. While the server starts, all of them cannot be listed for a moment: 503.
            """,
        callers: .holding(.devicesRead),
        query: Operation.pageParameters + [
            .optional("status", .oneOf(DeviceStatus.self)),
            .optional("site_id", .id(SiteNoun.prefix)),
            .optional("ids", Schema.string(1...3300).described("Up to \(idsMax) ids, separated by commas.")),
        ],
        replies: [.ok("A page of devices.", .page(of: schema))],
        errors: [.siteNotFound, .invalidCursor],
        handle: { call in
            let reach = try call.reach
            let site = try call.query.optionalString("site_id").map { text in
                guard let id = SiteID(text) else { throw APIError.missing(.siteNotFound, field: "site_id") }
                return id
            }
            if let ids = try ids(call) { return try await page(call, .ids(ids, of: site), reach, siteField: "site_id") }
            if let site { return try await page(call, .site(site), reach, siteField: "site_id") }
            return try await pageOfAll(call, reach)
        }
    )

    private enum Choice: Sendable {
        case site(SiteID)
        case ids([DeviceID], of: SiteID?)
    }

    /// Names in one request; each is a look-up of its own.
    private static let idsMax = 100

    private static func ids(_ call: Call) throws -> [DeviceID]? {
        guard let text = call.query.optionalString("ids") else { return nil }
        let ids = Set(text.split(separator: ",").map { DeviceID(stored: String($0)) })
        if ids.count > idsMax { throw APIError.invalid("ids", "names more than \(idsMax) devices") }
        return Array(ids)
    }

    /// A page of a few devices, by name.
    private static func page(
        _ call: Call,
        _ choice: Choice,
        _ reach: Reach,
        siteField: String?
    ) async throws -> Reply {
        let found: [StoredDevice] = try await call.read { reader in
            let site: SiteID? =
                switch choice {
                case .site(let id): id
                case .ids(_, of: let id): id
                }
            if let site, try reader.site(site, within: reach) == nil {
                throw APIError.missing(.siteNotFound, field: siteField)
            }
            switch choice {
            case .site(let id): return try reader.devices(of: id, within: reach)
            case .ids(let ids, _):
                return try ids.compactMap { try reader.device($0, within: reach) }
                    .filter { site == nil || $0.fixture.siteID == site }
            }
        }
        var devices = Dictionary(found.map { ($0.fixture.id, $0) }) { first, _ in first }
        if let status: DeviceStatus = call.query.optionalValue("status") {
            let views = try await call.services.devices.views(of: found.map(\.id))
            devices = devices.filter { views[$0.value.id]?.status == status }
        }
        let page = try FixtureOperations.page(try call.page, of: devices.values.map(\.fixture))
        return .page(try await told(page.items.compactMap { devices[$0.id] }, call), next: page.next)
    }

    /// A page of all devices that the caller may see, oldest first.
    private static func pageOfAll(_ call: Call, _ reach: Reach) async throws -> Reply {
        let page = try call.page
        let after = try page.after.map { text in
            guard let slot = Int(text), slot >= 0 else {
                throw LedgerError(.invalid, "the cursor names no device")
            }
            return slot
        }
        let limit = min(max(page.limit, 1), PageRequest.maximumLimit)
        let found = call.services.devices.page(
            within: reach,
            status: call.query.optionalValue("status"),
            after: after,
            limit: limit + 1
        )
        guard let found else { throw APIError.unavailable }
        let shown = found.prefix(limit)
        let devices = try await call.read { reader in
            try shown.compactMap { try reader.device($0.id, within: reach) }
        }
        return .page(try await told(devices, call), next: found.count > limit ? shown.last.map { "\($0.slot)" } : nil)
    }

    private static let get = Operation(
        .get,
        "/v1/devices/{device_id}",
        id: "getDevice",
        tag: .devices,
        summary: "Get a device",
        callers: .holding(.devicesRead),
        replies: [.ok("The device.", schema)],
        errors: [.deviceNotFound],
        handle: { call in
            let device = try await call.read { try found(call, $0) }
            return .ok(try await told([device], call)[0])
        }
    )

    // MARK: Changing

    private static let create = Operation(
        .post,
        "/v1/sites/{site_id}/devices",
        id: "createDevice",
        tag: .devices,
        summary: "Add a device to a site",
        callers: .holding(.devicesWrite),
        body: .json(newDevice),
        replies: [.created("The new device.", schema)],
        errors: [.siteNotFound, .deviceNotFound, .alreadyExists, .tooMany],
        handle: { call in
            let id: DeviceID = call.newID()
            return try await call.commit { transaction in
                let record = try parts.siteWithRoom(call, transaction)
                let site = record.configuration.site.id
                var fixture = Fixture(
                    id: id.text,
                    siteID: site,
                    kind: .device,
                    number: nil,
                    name: try call.body.string("name"),
                    settings: [:]
                )
                SiteParts.take(["type", "bridge_id"], of: call.body, to: &fixture)
                try checkBridge(of: fixture, call.body, transaction)
                try transaction.insert(fixture)
                try takeFirmware(call.body, of: id, transaction)
                let made = try transaction.device(id, within: .platform)
                guard let made else { throw APIError.internalFailure }
                return parts.change(.created(json(made, nil)), "create", fixture, record, "was added")
            }
        }
    )

    private static let patch = Operation(
        .patch,
        "/v1/devices/{device_id}",
        id: "patchDevice",
        tag: .devices,
        summary: "Change a device",
        notes: "A `firmware_version` that is set here is what is known of it; only the device's own word is an event.",
        callers: .holding(.devicesWrite),
        body: .json(devicePatch),
        replies: [.ok("The device as it is now.", schema)],
        errors: [.deviceNotFound, .alreadyExists],
        handle: { call in
            let id: DeviceID = try call.id("device_id", orThrow: .deviceNotFound)
            let view = try await call.services.devices.views(of: [id])[id]
            let reply = try await call.commit { transaction in
                var fixture = try found(call, transaction).fixture
                guard let record = try transaction.siteRecord(fixture.siteID, within: .platform) else {
                    throw APIError.missing(.deviceNotFound)
                }
                fixture.name = call.body.optionalString("name") ?? fixture.name
                SiteParts.take(["type", "bridge_id"], of: call.body, to: &fixture)
                try checkBridge(of: fixture, call.body, transaction)
                try transaction.update(fixture)
                try takeFirmware(call.body, of: id, transaction)
                let changed = try found(call, transaction)
                return parts.change(.ok(json(changed, view)), "change", fixture, record, "was changed")
            }
            if call.body.has("firmware_version") {
                call.services.devices.set(firmware: call.body.optionalString("firmware_version"), of: id)
            }
            return reply
        }
    )

    private static let delete = Operation(
        .delete,
        "/v1/devices/{device_id}",
        id: "deleteDevice",
        tag: .devices,
        summary: "Delete a device",
        notes: "Its zones and relays stay, without a device; so do devices that hang on it.",
        callers: .holding(.devicesWrite),
        query: [.force],
        replies: [.noContent("The device is gone.")],
        errors: [.deviceNotFound, .siteArmed, .siteInAlarm, .deletionRefused],
        handle: { call in
            let site = try await call.read { reader in
                let device = try found(call, reader)
                try checkDeletion(of: device, call, reader)
                return device.fixture.siteID
            }
            let id: DeviceID = try call.id("device_id", orThrow: .deviceNotFound)
            // What it said of its zones is forgotten first: without it nobody could say that they are there again.
            var request = try call.request(at: site)
            request.idempotency = nil
            _ = try await call.services.sites.ask(DeviceRemoval(id, request: request))
            return try await call.commit { transaction in
                let device = try found(call, transaction)
                let record = try checkDeletion(of: device, call, transaction)
                try transaction.detachDevice(device.id, of: site)
                try transaction.deleteFixture(device.fixture.id, of: site)
                return parts.change(.noContent, "delete", device.fixture, record, "was deleted")
            }
        }
    )

    // MARK: Parts

    static func found(_ call: Call, _ reader: any LedgerReader) throws -> StoredDevice {
        let id: DeviceID = try call.id("device_id", orThrow: .deviceNotFound)
        guard let device = try reader.device(id, within: try call.reach) else {
            throw APIError.missing(.deviceNotFound)
        }
        return device
    }

    /// Refuses to delete a device whose zones guard something just now, or whose relay is on (decisions §11).
    @discardableResult
    private static func checkDeletion(
        of device: StoredDevice,
        _ call: Call,
        _ reader: any LedgerReader
    ) throws -> SiteRecord {
        guard let record = try reader.siteRecord(device.fixture.siteID, within: .platform) else {
            throw APIError.missing(.deviceNotFound)
        }
        if !call.isForced { try APIError.refuse(DeletionGuard(reader).obstacles(to: device.id, in: record)) }
        return record
    }

    /// A device hangs on a bridge of its own site, and a bridge that carries others stays one.
    private static func checkBridge(of fixture: Fixture, _ body: Fields, _ reader: any LedgerReader) throws {
        if body.has("bridge_id"), let id = fixture.settings["bridge_id"]?.string {
            let bridge = try reader.fixture(id, kind: .device, within: .platform)
            guard let bridge, bridge.siteID == fixture.siteID else {
                throw APIError.missing(.deviceNotFound, field: "bridge_id")
            }
            if bridge.id == fixture.id || bridge.settings["type"]?.string != DeviceType.bridge.rawValue {
                throw APIError.invalid("bridge_id", "must name another device of the site whose type is \"bridge\"")
            }
            var bridges = Bridges(try reader.fixtures(of: fixture.siteID, kind: .device, within: .platform))
            bridges.hang(fixture.id, on: id)
            if bridges.isCycle(at: fixture.id) {
                throw APIError.invalid(
                    "bridge_id",
                    "names a bridge that hangs on this device itself: give that one another bridge first, or none"
                )
            }
        }
        if body.has("type"), fixture.settings["type"]?.string != DeviceType.bridge.rawValue {
            let devices = try reader.fixtures(of: fixture.siteID, kind: .device, within: .platform)
            if devices.contains(where: { $0.settings["bridge_id"]?.string == fixture.id }) {
                throw APIError.invalid("type", "must stay \"bridge\" while other devices hang on it")
            }
        }
    }

    private static func takeFirmware(_ body: Fields, of id: DeviceID, _ transaction: any LedgerTransaction) throws {
        guard body.has("firmware_version") else { return }
        try transaction.setFirmwareVersion(body.optionalString("firmware_version"), of: id)
    }
}

extension StoredDevice {
    var id: DeviceID { DeviceID(stored: fixture.id) }
}
