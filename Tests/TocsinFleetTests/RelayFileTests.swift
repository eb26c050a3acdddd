import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

@testable import TocsinFleet

/// Relays of the fleet file, with their rules, bridges and schedules.
struct RelayFileTests {
    private static let site = """
        dealers: [{name: Acme Security}]
        sites:
          - name: Shop
            dealer: Acme Security
            timezone: America/Chicago
            partitions:
              - {number: 1, name: Sales}
            devices:
              - {name: Hall camera, type: camera}
            zones:
              - {number: 5, name: Back Door, type: perimeter}

        """

    private static let full =
        site
            + """
                relays:
                  - name: Siren
                    device: Hall camera
                    rules:
                      - {on: alarm.created, classes: [fire, intrusion], partitions: [1], zones: [5], duration_seconds: 90}
                      - {on: alarm.created, priorities: [CRITICAL], silent: true, duration_seconds: 10}
                    actuator: {type: webhook, url: "https://bridge.example.test/relay"}
                  - {name: Gate}
                schedules:
                  - {activate: Siren, duration_seconds: 10, at: "07:55", days: [mon, tue]}

            """

    private static func loaded(_ world: World) async throws -> SiteRecord {
        let id = try #require(try await world.site("Shop")).configuration.site.id
        return try #require(try await world.ledger.load([id])[id])
    }

    @Test func `the engine finds the relays, and the bridge's secret is told once`() async throws {
        let world = try World()
        let outcome = try await world.apply(Self.full)
        let found = try await Self.loaded(world).configuration

        let siren = try #require(found.relays.first { $0.name == "Siren" })
        #expect(siren.rules.map(\.durationSeconds) == [90, 10])
        #expect(siren.rules[0].classes == [.fire, .intrusion] && siren.rules[0].zones == [5])
        #expect(siren.rules[1].includesSilent && siren.rules[1].priorities == [.critical])
        #expect(siren.deviceID != nil)
        let rule = try #require(found.schedules.first)
        #expect(rule.action == .activate(siren.id, seconds: 10) && rule.partition == Schedule.noPartition)
        let told = outcome.result.json["sites"]?.array?.first?["relays"]?.array ?? []
        let secret = try #require(told.first { $0["name"] == "Siren" }?["secret"]?.string)
        #expect(told.first { $0["name"] == "Gate" }?["secret"] == nil)
        guard case .webhook(_, let sealed) = siren.actuator else {
            Issue.record("the siren has no bridge")
            return
        }
        #expect(try RelaySecret.opened(sealed, of: siren.id, vault: world.vault) == secret)

        let again = try await world.apply(Self.full)
        #expect(again.changes.isEmpty, "\(again.changes)")
        #expect(!again.result.json.text.contains("whsec_"))
    }

    @Test func `an export applies as nothing, shows no secret, and makes the same elsewhere`() async throws {
        let world = try World()
        try await world.apply(Self.full)
        let text = FleetYAML.text(try await world.service.export())
        #expect(!text.contains("secret") && !text.contains("rel_"))
        #expect(try await world.apply(text, FleetOptions(prunes: true)).changes.isEmpty)

        let other = try World()
        try await other.apply(text)
        let (one, two) = (try await Self.loaded(world).configuration, try await Self.loaded(other).configuration)
        // Ids of one moment are in no order.
        func rules(_ configuration: SiteConfiguration) -> [String: [RelayRule]] {
            Dictionary(uniqueKeysWithValues: configuration.relays.map { ($0.name, $0.rules) })
        }
        #expect(rules(one) == rules(two))
        #expect(two.relays.first { $0.name == "Siren" }?.actuator.type == .webhook)
        #expect(two.schedules.map(\.at) == one.schedules.map(\.at))
    }

    @Test(
        arguments: [
            ("relays: [{name: Siren, rules: [{on: alarm.resolved, duration_seconds: 5}]}]", "alarm.created"),
            ("relays: [{name: Siren, rules: [{on: alarm.created}]}]", "duration_seconds"),
            ("relays: [{name: Siren, rules: [{on: alarm.created, duration_seconds: 5, zones: [7]}]}]", "no zone 7"),
            ("relays: [{name: Siren, rules: [{on: alarm.created, duration_seconds: 5, classes: []}]}]", "leave it out"),
            ("relays: [{name: Siren, actuator: {type: webhook}}]", "url"),
            ("relays: [{name: Siren, actuator: {type: webhook, url: \"https://a.test/\", secret: \"1\"}}]", "whsec_"),
            ("relays: [{name: Siren, device: Nobody}]", "Nobody"),
            ("schedules: [{activate: Horn, duration_seconds: 5, at: \"18:00\"}]", "Horn"),
            ("schedules: [{activate: Horn, at: \"18:00\"}]", "duration_seconds"),
            ("schedules: [{arm: away, at: \"18:00\"}]", "partition"),
        ]
    )
    func `what cannot be is told with its place`(lists: String, words: String) async throws {
        let world = try World()
        let error = await #expect(throws: FleetError.self) {
            _ = try await world.apply(Self.site + "    " + lists + "\n")
        }
        let told = error?.problems.map(\.description) ?? []
        #expect(told.contains { $0.contains(words) }, "\(told)")
        #expect(try await world.site("Shop") == nil)
    }

    /// Switches the siren on, as a person would by hand.
    private static func switchOn(_ world: World) async throws {
        let record = try await Self.loaded(world)
        let relay = try #require(record.configuration.relays.first { $0.name == "Siren" })
        var decision = Decision(
            siteID: record.configuration.site.id,
            dealerID: record.configuration.site.dealerID,
            partnerID: nil,
            baseVersion: record.version,
            newState: record.state,
            at: Instant(secondsSinceEpoch: 1_790_000_000)
        )
        let now = decision.at
        decision.newState?.relays[relay.id] = RelayState(
            since: now,
            until: now + .seconds(60),
            trigger: .manual("app_1")
        )
        _ = try await world.ledger.commit([decision])
    }

    @Test func `a relay that is on is not pruned`() async throws {
        let world = try World()
        try await world.apply(Self.full)
        try await Self.switchOn(world)
        let without = Self.site + "    relays: []\n"
        let error = await #expect(throws: FleetError.self) {
            _ = try await world.apply(without, FleetOptions(prunes: true))
        }
        #expect(error?.problems.contains { $0.description.contains("it is on") } == true)
        try await world.apply(without, FleetOptions(prunes: true, forces: true))
        #expect(try await Self.loaded(world).configuration.relays.isEmpty)
    }

    @Test func `the device of a relay that is on is not pruned, unless forced`() async throws {
        let world = try World()
        try await world.apply(Self.full)
        try await Self.switchOn(world)
        let without = Self.site.replacing("- {name: Hall camera, type: camera}", with: "- {name: Other, type: camera}")
        let error = await #expect(throws: FleetError.self) {
            _ = try await world.apply(without, FleetOptions(prunes: true))
        }
        #expect(error?.message == "1 deletion was refused; --force overrides")
        #expect(error?.problems.contains { $0.description.contains("has the relay Siren, which is on") } == true)
        try await world.apply(without, FleetOptions(prunes: true, forces: true))
        #expect(try await Self.loaded(world).configuration.relays.first { $0.name == "Siren" }?.deviceID == nil)
    }

    @Test(arguments: [
        #"{type: webhook, url: "https://other.example.test/relay"}"#, "{type: log}",
    ])
    func `a relay that is on keeps its bridge, whoever insists`(actuator: String) async throws {
        let world = try World()
        try await world.apply(Self.full)
        try await Self.switchOn(world)
        let before = try await Self.loaded(world)
        let other = Self.full.replacing(
            #"{type: webhook, url: "https://bridge.example.test/relay"}"#,
            with: actuator
        )
        for forces in [false, true] {
            let error = await #expect(throws: FleetError.self) {
                _ = try await world.apply(other, FleetOptions(forces: forces))
            }
            let told = error?.problems.map(\.description) ?? []
            #expect(told.contains { $0.contains("the relay “Siren” is on") && $0.contains("deactivate it") }, "\(told)")
            let remedy = "1 change was refused: do first what is said there, --force does not override"
            #expect(error?.message == remedy)
        }
        #expect(try await Self.loaded(world).configuration.relays == before.configuration.relays)

        // Everything else of it may change, and the bridge once it is off.
        try await world.apply(Self.full.replacing("duration_seconds: 90", with: "duration_seconds: 80"))
        try await Self.switchOff(world)
        try await world.apply(other)
        #expect(try await Self.loaded(world).configuration.relays != before.configuration.relays)
    }

    private static func switchOff(_ world: World) async throws {
        let record = try await Self.loaded(world)
        var decision = Decision(
            siteID: record.configuration.site.id,
            dealerID: record.configuration.site.dealerID,
            partnerID: nil,
            baseVersion: record.version,
            newState: record.state,
            at: Instant(secondsSinceEpoch: 1_790_000_060)
        )
        decision.newState?.relays = [:]
        _ = try await world.ledger.commit([decision])
    }

    @Test func `a relay that a schedule names is pruned with the schedule, not without it`() async throws {
        let world = try World()
        try await world.apply(Self.full)
        let none = Self.site + "    relays: []\n"
        let error = await #expect(throws: FleetError.self) {
            _ = try await world.apply(none, FleetOptions(prunes: true))
        }
        #expect(error?.problems.contains { $0.description.contains("is switched on by the schedule") } == true)
        try await world.apply(none + "    schedules: []\n", FleetOptions(prunes: true))
        let found = try await Self.loaded(world).configuration
        #expect(found.relays.isEmpty && found.schedules.isEmpty)
    }

    @Test func `a site has no more relays than the API gives it`() async throws {
        let world = try World()
        let many = (0...Relay.maximumPerSite).map { "      - {name: Relay \($0)}" }.joined(separator: "\n")
        let error = await #expect(throws: FleetError.self) {
            _ = try await world.apply(Self.site + "    relays:\n" + many + "\n")
        }
        #expect(error?.problems.contains { $0.description.contains("are the limit of a site") } == true)
    }
}
