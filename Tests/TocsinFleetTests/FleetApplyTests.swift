import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

@testable import TocsinFleet

/// A ledger in memory and a service over it.
struct World {
    static let now = Instant(secondsSinceEpoch: 1_790_000_000)

    let ledger: SQLiteLedger
    let vault = Vault(key: [UInt8](repeating: 7, count: Vault.keyLength))
    let service: FleetService

    init() throws {
        ledger = try SQLiteLedger.open(.memory)
        service = FleetService(
            ledger: ledger,
            vault: vault,
            clock: ManualClock(at: Self.now),
            randomness: SeededRandomness(seed: 4711),
            checkURL: { $0.hasPrefix("https://") ? nil : "must be an https URL" }
        )
    }

    @discardableResult
    func apply(_ text: String, _ options: FleetOptions = FleetOptions()) async throws -> FleetOutcome {
        try await service.apply(Array(text.utf8), options: options, origin: FleetOrigin(actor: .system))
    }

    func site(_ name: String, of dealer: String = "Acme Security") async throws -> SiteRecord? {
        try await ledger.read { reader in
            guard let dealer = try reader.dealer(named: dealer, within: .platform),
                let site = try reader.site(named: name, of: dealer.id, within: .platform)
            else { return nil }
            return try reader.siteRecord(site.id, within: .platform)
        }
    }

    /// Sets the first partition's phase, as the engine's commits do.
    func set(_ phase: Phase, of name: String) async throws {
        let record = try #require(try await site(name))
        var state = record.state
        let partition = record.configuration.partitions[0].id
        state.partitions[partition]?.phase = phase
        let site = record.configuration.site
        let decision = Decision(
            siteID: site.id,
            dealerID: site.dealerID,
            partnerID: site.partnerID,
            baseVersion: record.version,
            newState: state,
            at: Self.now
        )
        _ = try await ledger.commit([decision])
    }
}

struct FleetApplyTests {
    @Test func `the documented example makes all it names, with secrets that work`() async throws {
        let world = try World()
        let result = try await world.apply(table("example.yaml")).result

        let key = try #require(result.apps.first?.apiKey)
        let found = try await world.ledger.read { try $0.app(authenticatingWith: credentialHash(key)) }
        #expect(found?.app.name == "nightly-reports")
        #expect(key.hasPrefix("tcs_live_"))

        let partner = try #require(result.partners.first)
        let stored = try await world.ledger.read { try $0.partner(authenticatingAs: partner.clientID) }
        #expect(stored?.clientSecretHash == credentialHash(try #require(partner.clientSecret)))

        let endpoint = try #require(result.apps.first?.endpoints.first)
        let secrets = try await world.ledger.read { try $0.secrets(of: endpoint.endpointID) }
        let place = WebhookSecret.vaultContext(of: endpoint.endpointID)
        let opened = try world.vault.open(secrets[0].sealed, context: place)
        #expect(String(decoding: opened, as: UTF8.self) == endpoint.secret)

        let record = try #require(try await world.site("Main Street 1"))
        #expect(record.configuration.site.armingModel == .partnerTriggered)
        #expect(record.configuration.partitions.map(\.name) == ["House"])
        #expect(record.configuration.zones.map(\.place) == ["Back Door (zone 5)"])
        let site = record.configuration.site
        #expect(try await world.ledger.read { try $0.isLinked(site.dealerID, to: partner.partnerID) })
    }

    @Test func `the output has the documented members`() async throws {
        let world = try World()
        let json = try await world.apply(table("example.yaml")).result.json

        #expect(json.object?.names == ["dealers", "apps", "partners", "sites"])
        #expect(json["dealers"]?.array?.first?.object?.names == ["name", "dealer_id"])
        let app = json["apps"]?.array?.first
        #expect(app?.object?.names == ["name", "app_id", "api_key", "endpoints"])
        #expect(app?["endpoints"]?.array?.first?.object?.names == ["url", "endpoint_id", "secret"])
        let partner = json["partners"]?.array?.first
        #expect(partner?.object?.names == ["name", "partner_id", "client_id", "client_secret", "endpoints"])
        let site = json["sites"]?.array?.first
        #expect(site?["partitions"]?.array?.first?.object?.names == ["number", "partition_id"])
        #expect(site?["zones"]?.array?.first?.object?.names == ["number", "zone_id"])
        #expect(site?["devices"]?.array?.first?.object?.names == ["name", "device_id"])
        #expect(site?["users"]?.array?.first?.object?.names == ["name", "user_id"])
        #expect(site?["relays"]?.array?.first?.object?.names == ["name", "relay_id"])
    }

    @Test func `a second application changes nothing and repeats no secret`() async throws {
        let world = try World()
        let first = try await world.apply(table("example.yaml")).result
        let second = try await world.apply(table("example.yaml"))

        #expect(second.changes.isEmpty)
        #expect(second.result.apps.first?.appID == first.apps.first?.appID)
        #expect(second.result.apps.first?.apiKey == nil)
        #expect(second.result.apps.first?.endpoints.first?.secret == nil)
        #expect(second.result.partners.first?.clientSecret == nil)
        #expect(second.result.sites.first?.siteID == first.sites.first?.siteID)
    }

    @Test func `a dry run tells the difference and stores nothing`() async throws {
        let world = try World()
        let outcome = try await world.apply(table("example.yaml"), FleetOptions(isDryRun: true))

        #expect(
            outcome.changes.map(\.description) == [
                "+ dealer Acme Security",
                "+ app Acme Security / nightly-reports",
                "+ endpoint Acme Security / nightly-reports / https://example.test/hook",
                "+ partner PanelCo",
                "+ link Acme Security / PanelCo",
                "+ site Main Street 1",
                "+ device Main Street 1 / device Hall camera",
                "+ zone Main Street 1 / zone 5",
                "+ relay Main Street 1 / relay Siren",
                "+ user Main Street 1 / user Ann",
                "+ schedule Main Street 1 / schedule partition 1: arm away at 18:00 on mon tue wed thu fri",
            ]
        )
        #expect(outcome.result.isEmpty)
        #expect(try await world.ledger.read { try $0.dealers(within: .platform, page: PageRequest()).items.isEmpty })
    }

    @Test func `what the file changes is changed, and what it leaves out stays`() async throws {
        let world = try World()
        try await world.apply(table("example.yaml"))
        try await world.set(.armed(.away), of: "Main Street 1")
        let text = """
            sites:
              - name: Main Street 1b
                external_site_id: ms-1
                dealer: Acme Security
                partner: PanelCo
                timezone: America/Denver
                partitions: [{number: 1, entry_delay_seconds: 45}, {number: 2, name: Garage}]
                zones: [{number: 5, name: Rear Door, type: exit_entry}]
                users: [{name: Ann, code: "8102"}]
            """
        let outcome = try await world.apply(text)

        #expect(
            outcome.changes.map(\.description) == [
                "~ site Main Street 1b: name, timezone",
                "~ partition Main Street 1b / partition 1: entry_delay_seconds",
                "+ partition Main Street 1b / partition 2",
                "~ zone Main Street 1b / zone 5: name",
                "~ user Main Street 1b / user Ann: code",
            ]
        )
        let record = try #require(try await world.site("Main Street 1b"))
        let house = record.configuration.partitions[0]
        #expect(house.name == "House")
        #expect(house.exitDelaySeconds.away == 60)
        #expect(record.state.partitions[house.id]?.phase == .armed(.away), "a partition's change keeps its state")
        let zones = try await world.ledger.read { reader in
            try reader.fixtures(of: record.configuration.site.id, kind: .zone, within: .platform)
        }
        #expect(zones[0].settings["kind"] == "contact")
    }

    @Test func `an export applies as nothing, and holds no secret`() async throws {
        let world = try World()
        let first = try await world.apply(table("example.yaml")).result
        let text = FleetYAML.text(try await world.service.export())

        #expect(try await world.apply(text).changes.isEmpty)
        #expect(try await world.apply(text, FleetOptions(prunes: true)).changes.isEmpty)
        for secret in [first.apps[0].apiKey, first.apps[0].endpoints[0].secret, first.partners[0].clientSecret, "code"]
        {
            #expect(!text.contains(try #require(secret)))
        }

        let other = try World()
        try await other.apply(text)
        #expect(try await other.service.export() == world.service.export())
    }

    @Test func `codes are kept as hashes, and one that somebody has is refused`() async throws {
        let world = try World()
        try await world.apply(table("example.yaml"))
        let record = try #require(try await world.site("Main Street 1"))
        let users = try await world.ledger.read { reader in
            try reader.fixtures(of: record.configuration.site.id, kind: .user, within: .platform)
        }
        #expect(!users[0].settings.members.contains { $0.value.text.contains("4711") })
        #expect(users[0].settings["code_hash"]?.string?.count == 64)

        let error = await #expect(throws: FleetError.self) {
            try await world.apply(Self.mainStreet("users: [{name: Bob, code: \"4711\"}]"))
        }
        #expect(error?.problems.map(\.message) == [UserCode.refusal()])
    }

    @Test func `what only the ledger can tell is told with its line`() async throws {
        let world = try World()
        try await world.apply(table("example.yaml"))
        let text = """
            dealers:
              - name: Acme Security
                apps:
                  - name: other
                    scopes: [events:read]
                    endpoints: [{url: "http://10.0.0.1/", events: [alarm.created]}]
            partners:
              - {name: PanelCo, arming_model: platform_triggered}
            sites:
              - {name: A, dealer: Nobody, timezone: UTC}
              - {name: B, dealer: Acme Security, partner: Nobody, timezone: UTC}
              - {name: Main Street 1, dealer: Acme Security, timezone: UTC}
              - name: C
                dealer: Acme Security
                timezone: UTC
                zones: [{number: 1, name: Door, type: exit_entry, partitions: [2], device: Cam}]
            """
        let error = await #expect(throws: FleetError.self) { try await world.apply(text) }
        #expect(
            error?.problems.map(\.description) == [
                "line 6: dealers[0].apps[0].endpoints[0].url: must be an https URL",
                "line 8: partners[0].arming_model: the partner’s model is partner_triggered and locked; "
                    + "a change needs a new certification",
                "line 10: sites[0].dealer: neither the file nor the ledger has the dealer “Nobody”: add it under dealers",
                "line 11: sites[1].partner: neither the file nor the ledger has the partner “Nobody”: "
                    + "add it under partners",
                "line 12: sites[2].partner: the site has a partner, which is fixed when a site is made: name it",
                "line 16: sites[3].zones[0].partitions: the site has no partition 2: add it under partitions",
                "line 16: sites[3].zones[0].device: neither the file nor the site has the device “Cam”: "
                    + "add it under devices",
            ]
        )
    }

    @Test func `pruning deletes what the lists leave out`() async throws {
        let world = try World()
        try await world.apply(table("example.yaml"))
        let outcome = try await world.apply(
            """
            dealers: [{name: Acme Security, apps: []}]
            sites:
              - name: Main Street 1
                dealer: Acme Security
                partner: PanelCo
                timezone: America/Chicago
                zones: []
                relays: []
            """,
            FleetOptions(prunes: true)
        )
        #expect(
            outcome.changes.map(\.description) == [
                "- zone Main Street 1 / zone 5",
                "- relay Main Street 1 / relay Siren",
                "- app Acme Security / nightly-reports",
            ]
        )
        let all = try await world.apply("{dealers: [], partners: [], sites: []}", FleetOptions(prunes: true))
        #expect(
            all.changes.map(\.description) == ["- site Main Street 1", "- partner PanelCo", "- dealer Acme Security"]
        )
    }

    @Test func `pruning refuses what is armed or in alarm, unless forced`() async throws {
        let world = try World()
        try await world.apply(table("example.yaml"))
        try await world.set(.armed(.away), of: "Main Street 1")

        let error = await #expect(throws: FleetError.self) {
            try await world.apply("sites: []", FleetOptions(prunes: true))
        }
        #expect(error?.code == .refused)
        #expect(error?.problems.map(\.message) == ["cannot be deleted: it is armed_away"])
        #expect(try await world.site("Main Street 1") != nil)
        await #expect(throws: FleetError.self) {
            try await world.apply(Self.mainStreet("zones: []"), FleetOptions(prunes: true))
        }

        try await world.apply("sites: []", FleetOptions(prunes: true, forces: true))
        #expect(try await world.site("Main Street 1") == nil)
    }

    @Test func `pruning refuses an app with undelivered events, unless forced`() async throws {
        let world = try World()
        let result = try await world.apply(table("example.yaml")).result
        let site = result.sites[0].siteID
        let dealer = result.dealers[0].dealerID
        let partition = result.sites[0].partitions[0].id
        let body = EventBody.partitionArmed(
            PartitionArmed(partitionID: partition, siteID: site, mode: "away", by: "user")
        )
        _ = try await world.ledger.write { transaction in
            try transaction.append(
                [
                    EventDraft(
                        id: EventID(at: World.now, random: (high: 1, low: 2)),
                        siteID: site,
                        partitionID: nil,
                        body: body
                    )
                ],
                to: dealer,
                at: World.now
            )
        }
        let text = "dealers: [{name: Acme Security, apps: []}]"
        let error = await #expect(throws: FleetError.self) {
            try await world.apply(text, FleetOptions(prunes: true))
        }
        #expect(error?.code == .refused)
        try await world.apply(text, FleetOptions(prunes: true, forces: true))
    }

    @Test func `a large fleet is stored in batches, and again without change`() async throws {
        let world = try World()
        let sites = (1...(FleetService.sitesPerTransaction * 2 + 1)).map { number in
            "  - {name: Shop \(number), external_site_id: s\(number), dealer: Acme, partner: PanelCo, timezone: UTC}"
        }
        let text = """
            dealers: [{name: Acme}]
            partners: [{name: PanelCo, arming_model: partner_triggered}]
            sites:
            \(sites.joined(separator: "\n"))
            """
        #expect(try await world.apply(text).result.sites.count == 1001)
        #expect(try await world.apply(text).changes.isEmpty)
    }

    @Test func `every change is in the audit log`() async throws {
        let world = try World()
        try await world.apply(table("example.yaml"))
        let page = try await world.ledger.read { reader in
            try reader.audit(within: .platform, filter: AuditFilter(), page: PageRequest()).items.map(\.entry.action)
        }
        #expect(
            page.sorted() == [
                "app.create", "dealer.create", "dealer.link", "endpoint.create", "partner.create", "site.create",
            ]
        )
    }

    /// The example's site with other lists.
    private static func mainStreet(_ lists: String) -> String {
        """
        sites:
          - name: Main Street 1
            external_site_id: ms-1
            dealer: Acme Security
            partner: PanelCo
            timezone: America/Chicago
            \(lists)
        """
    }
}
