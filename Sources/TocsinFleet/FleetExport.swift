import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Writes what the ledger holds in the form of a fleet file, without codes and secrets.
struct FleetExport {
    private let reader: any LedgerReader

    init(_ reader: any LedgerReader) { self.reader = reader }

    /// The file: dealers and partners by name, their things in the order in which they were made.
    func file() throws -> JSON {
        let dealers = try reader.allPages { try reader.dealers(within: .platform, page: $0) }
        let partners = try reader.allPages { try reader.partners(within: .platform, page: $0) }
        let dealerNames = Dictionary(uniqueKeysWithValues: dealers.map { ($0.id, $0.name) })
        let partnerNames = Dictionary(uniqueKeysWithValues: partners.map { ($0.id, $0.name) })
        return [
            "dealers": .array(try dealers.sorted { $0.name < $1.name }.map(dealer)),
            "partners": .array(try partners.sorted { $0.name < $1.name }.map(partner)),
            "sites": .array(
                try reader.allSites().compactMap { site in
                    guard let dealer = dealerNames[site.dealerID] else { return nil }
                    return try self.site(site, dealer: dealer, partner: site.partnerID.flatMap { partnerNames[$0] })
                }
            ),
        ]
    }

    private func dealer(_ dealer: Dealer) throws -> JSON {
        var object: JSONObject = ["name": .string(dealer.name)]
        // A revoked app would come to life again wherever the file is applied.
        let apps = try reader.allPages { try reader.apps(within: .dealer(dealer.id), page: $0) }
            .filter { !$0.isRevoked }
            .sorted { $0.name < $1.name }
        if !apps.isEmpty { object["apps"] = .array(try apps.map(app)) }
        let holidays = try reader.holidays(of: dealer.id)
        if !holidays.isEmpty { object["holidays"] = .array(holidays.map(\.json)) }
        if dealer.autoResolvesCancelled { object["auto_resolve_cancelled"] = true }
        return .object(object)
    }

    private func app(_ app: App) throws -> JSON {
        var object: JSONObject = ["name": .string(app.name)]
        object["scopes"] = JSON(Scope.allCases.filter(app.scopes.contains).map(\.rawValue))
        if !app.ipAllowList.isEmpty { object["ip_allow_list"] = JSON(app.ipAllowList) }
        if app.tier != .unlimited { object["tier"] = .string(app.tier.rawValue) }
        object["endpoints"] = try endpoints(of: .app(app.id, of: app.dealerID))
        return .object(object)
    }

    private func partner(_ partner: Partner) throws -> JSON {
        var object: JSONObject = ["name": .string(partner.name)]
        object["arming_model"] = .string(partner.armingModel.rawValue)
        if let jwks = partner.jwks { object["jwks"] = (try? JSONParser.parse(jwks)) ?? .string(jwks) }
        if partner.tier != .unlimited { object["tier"] = .string(partner.tier.rawValue) }
        object["endpoints"] = try endpoints(of: .partner(partner.id))
        return .object(object)
    }

    private func endpoints(of owner: EndpointOwner) throws -> JSON? {
        let endpoints = try reader.endpoints(of: owner)
        return endpoints.isEmpty ? nil : .array(endpoints.map(endpoint))
    }

    private func endpoint(_ endpoint: Endpoint) -> JSON {
        var object: JSONObject = ["url": .string(endpoint.url)]
        object["events"] = JSON(EventType.allCases.filter(endpoint.events.contains).map(\.rawValue))
        if endpoint.ordering != .none { object["ordering"] = .string(endpoint.ordering.rawValue) }
        if endpoint.concurrency != Endpoint.defaultConcurrency { object["concurrency"] = JSON(endpoint.concurrency) }
        object["rate_per_second"] = endpoint.ratePerSecond.map { JSON($0) }
        object["retry_schedule"] = endpoint.retrySchedule.map { .array($0.map { JSON($0) }) }
        if endpoint.signature != .v1 { object["signature"] = .string(endpoint.signature.rawValue) }
        // As the API shows it: the file that is written holds no private key.
        object["client_certificate"] = endpoint.clientCertificate.map {
            ["fingerprint": .string($0.fingerprint), "expires_at": .string($0.expiresAt.rfc3339Seconds)]
        }
        return .object(object)
    }

    // MARK: - Sites

    private func site(_ site: Site, dealer: String, partner: String?) throws -> JSON {
        var object: JSONObject = ["name": .string(site.name)]
        object["external_site_id"] = site.externalID.map(JSON.string)
        object["dealer"] = .string(dealer)
        object["partner"] = partner.map(JSON.string)
        object["timezone"] = .string(site.timezone)
        object["address"] = site.address.map(JSON.string)
        if site.testMode { object["test_mode"] = true }
        if site.complianceProfile != .none { object["compliance_profile"] = .string(site.complianceProfile.rawValue) }
        let record = try reader.siteRecord(site.id, within: .platform)
        object["partitions"] = .array(record?.configuration.partitions.map(partition) ?? [])
        let devices = try reader.fixtures(of: site.id, kind: .device, within: .platform)
        let relays = try reader.fixtures(of: site.id, kind: .relay, within: .platform)
        let names = Dictionary((devices + relays).map { ($0.id, $0.name) }) { first, _ in first }
        for kind in [FixtureKind.device, .zone, .user, .schedule, .relay, .contact] {
            let fixtures =
                kind == .device ? devices : try reader.fixtures(of: site.id, kind: kind, within: .platform)
            let sorted = fixtures.sorted { ($0.number ?? 0, $0.name) < ($1.number ?? 0, $1.name) }
            if !sorted.isEmpty { object[kind.listName] = .array(sorted.map { fixture($0, names: names) }) }
        }
        return .object(object)
    }

    private func partition(_ partition: Partition) -> JSON {
        var delays = JSONObject()
        for mode in ExitMode.allCases {
            delays[mode.rawValue] = JSON(partition.exitDelaySeconds[keyPath: mode.delay])
        }
        var object: JSONObject = [
            "number": JSON(partition.number),
            "name": .string(partition.name),
            "exit_delay_seconds": .object(delays),
            "entry_delay_seconds": JSON(partition.entryDelaySeconds),
        ]
        for member in partition.policy.settings.members { object[member.name] = member.value }
        return .object(object)
    }

    /// A fixture as the file has it; `names` are those of the site's devices and relays by id.
    private func fixture(_ fixture: Fixture, names: [String: String]) -> JSON {
        var object = JSONObject()
        object["number"] = fixture.number.map { JSON($0) }
        let isDerived = fixture.kind == .schedule && fixture.name == Schedule.derivedName(of: fixture.settings)
        if !isDerived { object["name"] = .string(fixture.name) }
        for name in fixture.kind.exportedMembers { object[name] = fixture.settings[name] }
        if let id = fixture.settings["device_id"]?.string { object["device"] = names[id].map(JSON.string) }
        if let id = fixture.settings["bridge_id"]?.string { object["bridge"] = names[id].map(JSON.string) }
        if let id = object["activate"]?.string { object["activate"] = .string(names[id] ?? id) }
        if case .webhook(let url, _)? = (try? Relay(fixture))?.actuator {
            object["actuator"] = ["type": .string(Relay.ActuatorType.webhook.rawValue), "url": .string(url)]
        }
        return .object(object)
    }
}

extension FixtureKind {
    /// The members that a file may have as they are kept; a device is named, a code's hash is not shown.
    fileprivate var exportedMembers: [String] {
        switch self {
        case .zone:
            [
                "type", "kind", "partitions", "modes", "entry_delay_seconds", "delay_on_seconds", "silent",
                "swinger_limit", "cross_group",
            ] + FleetParser.zoneFlags
        case .device: ["type"]
        case .relay: ["rules"]
        case .user: ["email", "rights", "valid_from", "valid_until", "windows", "one_time", "maximum_uses"]
        case .schedule: Schedule.members
        case .contact: ["email", "phone", "role"]
        }
    }
}
