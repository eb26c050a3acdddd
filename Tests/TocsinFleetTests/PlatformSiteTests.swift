import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

@testable import TocsinFleet

/// Sites that Tocsin arms itself: everything that their arming follows from.
struct PlatformSiteTests {
    private static func loaded(_ world: World) async throws -> SiteRecord {
        let id = try #require(try await world.site("Shop")).configuration.site.id
        return try #require(try await world.ledger.load([id])[id])
    }

    private static func problems(_ world: World, _ text: String) async -> [String] {
        let error = await #expect(throws: FleetError.self) { try await world.apply(text) }
        return error?.problems.map(\.description) ?? []
    }

    /// The table's shop with other lists.
    private static func shop(_ lists: String) -> String {
        "sites:\n  - name: Shop\n    dealer: Acme Security\n    timezone: America/Chicago\n" + lists
    }

    @Test func `the engine finds everything that the file says`() async throws {
        let world = try World()
        let outcome = try await world.apply(table("shop.yaml"))
        #expect(outcome.warnings.isEmpty)
        let found = try await Self.loaded(world).configuration

        #expect(found.site.complianceProfile == .cp01)
        #expect(found.partitions.map(\.exitDelaySeconds.stay) == [45, 45, 45], "the profile's own default")
        #expect(found.partitions[0].policy.exitError == .autoBypass && found.partitions[0].policy.bypassLimit == 3)
        #expect(found.partitions[0].policy.hours.map(\.days) == [[.mon, .tue]])
        #expect(found.partitions[0].policy.verificationSeconds == 90 && found.autoResolvesCancelled)
        #expect(found.partitions[2].policy.commonAreaOf == [1, 2])
        #expect(found.zones[0].crossGroup == "back" && found.zones[0].exterior)
        #expect(!found.zones[1].forceArmable && !found.zones[1].abortWindow)
        #expect(found.holidays.map(\.text).sorted() == ["2026-01-01", "2026-12-25"])

        let ann = try #require(found.users.first)
        #expect(ann.maximumUses == 100 && ann.windows?.first?.to.text == "22:00" && ann.modes == [.away, .stay])
        let duress = UserCode.hash("8090", site: found.site.id, vault: world.vault)
        #expect(found.codeHolders[duress]?.isDuress == true)

        let rules = Dictionary(uniqueKeysWithValues: found.schedules.map { ($0.name, $0) })
        #expect(rules["Count"]?.action == .arm(.custom(name: "inventory")))
        #expect(rules["Count"]?.observesHolidays == false && rules["Count"]?.on?.text == "2026-12-31")
        #expect(rules["Morning"]?.exceptions.count == 2 && rules["Morning"]?.isEnabled == false)
        #expect(rules["partition 1: arm away at 18:00 on mon tue wed thu fri"]?.latest?.text == "21:00")
    }

    @Test func `nothing that guards is taken out of guard while it is armed`() async throws {
        let world = try World()
        let zones = "    zones:\n      - {number: 1, name: Window, type: perimeter}\n"
        let one = "    partitions:\n      - {number: 1, name: Sales}\n"
        try await world.apply("dealers: [{name: Acme Security}]\n" + Self.shop(one + zones))
        try await world.set(.armed(.away), of: "Shop")

        // The window names no partition: with a second one, disarmed, it would be common to both.
        let two = one + "      - {number: 2, name: Office}\n"
        for change in [two + zones, one + zones.replacing("perimeter", with: "none")] {
            let told = await Self.problems(world, Self.shop(change))
            #expect(told.count == 1 && told[0].contains("Window (zone 1) guards Sales, which is armed"), "\(told)")
            #expect(try await Self.loaded(world).configuration.partitions.count == 1, "nothing is left behind")
            #expect(try await Self.loaded(world).configuration.zones.map(\.type) == [.perimeter])
        }

        try await world.set(.disarmed, of: "Shop")
        try await world.apply(Self.shop(two + zones))
        #expect(try await Self.loaded(world).configuration.partitions.count == 2)
    }

    @Test func `an export of it applies as nothing, and shows no code`() async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        #expect(try await world.apply(table("shop.yaml")).changes.isEmpty)
        let text = FleetYAML.text(try await world.service.export())
        #expect(try await world.apply(text, FleetOptions(prunes: true)).changes.isEmpty)
        for secret in ["4711", "8090", "hash", "code"] { #expect(!text.contains(secret)) }

        let other = try World()
        try await other.apply(text)
        #expect(try await other.service.export() == world.service.export())
    }

    @Test func `what changes is told by its members`() async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        let outcome = try await world.apply(
            """
            dealers: [{name: Acme Security, holidays: []}]
            \(Self.shop(
                """
                    partitions: [{number: 1, bypass_limit: 4, custom_modes: [inventory, fair]}]
                    schedules:
                      - {name: Count, partition: 1, disarm: true, at: "20:00"}
                """
            ))
            """
        )
        #expect(
            outcome.changes.map(\.description) == [
                "~ dealer Acme Security: holidays",
                "~ partition Shop / partition 1: bypass_limit, custom_modes",
                "~ schedule Shop / schedule Count: arm, on, disarm, days",
            ]
        )
        let found = try await Self.loaded(world).configuration
        #expect(found.holidays.isEmpty)
        #expect(found.schedules.first { $0.name == "Count" }?.action == .disarm)
    }

    @Test func `what the profile forbids is told with its line and clause`() async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        let problems = await Self.problems(
            world,
            Self.shop(
                """
                    compliance_profile: en_g2
                    partitions:
                      - {number: 2, abort_window_seconds: 30}
                    zones:
                      - {number: 6, name: Hall, type: interior_follower, swinger_limit: 2}
                      - {number: 7, name: Yard, type: perimeter, entry_delay_seconds: 60}
                """
            )
        )
        #expect(
            problems == [
                "line 7: sites[0].partitions[0].abort_window_seconds: is not allowed by the profile en_g2, "
                    + "clause abort window: exactly 0 s, not 30",
                "line 9: sites[0].zones[0].swinger_limit: is not allowed by the profile en_g2, "
                    + "clause swinger shutdown: exactly 3, not 2",
                "line 10: sites[0].zones[1].entry_delay_seconds: is not allowed by the profile en_g2, "
                    + "clause entry delay: 0 to 45 s, not 60",
            ]
        )
        // What the file does not name is held to the profile too.
        let relaxed = try await world.apply(
            Self.shop(
                "    compliance_profile: none\n    zones: [{number: 5, name: Back Door, type: exit_entry, swinger_limit: 2}]"
            )
        )
        #expect(relaxed.changes.count == 2)
        try await world.apply(Self.shop("    partitions: [{number: 3, entry_delay_seconds: 20}]"))
        #expect(
            await Self.problems(world, Self.shop("    compliance_profile: cp01")) == [
                "line 2: sites[0].compliance_profile: entry_delay_seconds of partition 3 is not allowed by the profile "
                    + "cp01, clause entry delay: 30 to 240 s, not 20"
            ]
        )
        #expect(
            await Self.problems(world, Self.shop("    compliance_profile: en_g3")) == [
                "line 2: sites[0].compliance_profile: swinger_limit of zone 5 is not allowed by the profile en_g3, "
                    + "clause swinger shutdown: exactly 3, not 2",
                "line 2: sites[0].compliance_profile: a code of Ann has fewer than 6 digits, or its length is not "
                    + "known any more. Give them new codes first",
            ]
        )
    }

    @Test func `partitions and rules that contradict each other are told`() async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        let problems = await Self.problems(
            world,
            Self.shop(
                """
                    partitions: [{number: 2, common_area_of: [3]}, {number: 1, custom_modes: [away]}]
                    schedules: [{partition: 1, arm: awya, at: "18:00"}, {partition: 4, disarm: true, at: "07:00"}]
                """
            )
        )
        #expect(
            problems == [
                "line 5: sites[0].partitions[1].custom_modes: has \"away\", which is no name for a mode of one's own",
                "line 5: sites[0].partitions[0].common_area_of: \(Partition.commonAreaObstacle(schedule: "Morning"))",
                "line 6: sites[0].schedules[0].arm: partition 1 has no mode “awya”: use away, stay or night, "
                    + "or add it to its custom_modes",
                "line 6: sites[0].schedules[1].partition: the site has no partition 4: add it under partitions",
            ]
        )
        #expect(
            await Self.problems(world, Self.shop("    partitions: [{number: 2, common_area_of: [3]}]")).first
                == "line 5: sites[0].partitions[0].common_area_of: has 3, which is a common area itself"
        )
    }

    @Test(arguments: [
        "code: \"8091\"", "code: \"4711\"", "duress_code: \"4712\"", "code: \"5000\", duress_code: \"5001\"",
    ])
    func `a code that is taken or beside one for duress is refused`(codes: String) async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        let problems = await Self.problems(world, Self.shop("    users: [{name: Bob, \(codes)}]"))
        #expect(problems.count == 1 && problems.first?.hasSuffix(UserCode.refusal()) == true)
        try await world.apply(Self.shop("    users: [{name: Bob, code: \"4712\"}]"))
    }

    @Test func `people swap their codes in one file`() async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        let added = "    users: [{name: Ann, code: \"4711\", duress_code: \"8090\"}, {name: Bob, code: \"5500\"}]"
        try await world.apply(Self.shop(added))
        let swapped = "    users: [{name: Ann, code: \"5500\", duress_code: \"9200\"}, {name: Bob, code: \"8090\"}]"
        let outcome = try await world.apply(Self.shop(swapped))
        #expect(
            outcome.changes.map(\.description) == [
                "~ user Shop / user Ann: code, duress_code", "~ user Shop / user Bob: code",
            ]
        )
        let found = try await Self.loaded(world).configuration
        func holder(_ code: String) -> String? {
            let hash = UserCode.hash(code, site: found.site.id, vault: world.vault)
            return found.codeHolders[hash].map { found.users[$0.user].name + ($0.isDuress ? " duress" : "") }
        }
        #expect(holder("5500") == "Ann" && holder("9200") == "Ann duress" && holder("8090") == "Bob")
        #expect(holder("4711") == nil)
        #expect(try await world.apply(Self.shop(swapped)).changes.isEmpty)
    }

    @Test func `a profile that asks for longer codes names who has a shorter one`() async throws {
        let world = try World()
        try await world.apply("dealers: [{name: Acme Security}]\n" + Self.shop("    partitions: [{number: 1}]"))
        try await world.apply(Self.shop("    users: [{name: Ann, code: \"4711\"}, {name: Bob, code: \"258046\"}]"))
        #expect(
            await Self.problems(world, Self.shop("    compliance_profile: en_g3")) == [
                "line 2: sites[0].compliance_profile: a code of Ann has fewer than 6 digits, or its length is not "
                    + "known any more. Give them new codes first"
            ]
        )
        try await world.apply(
            Self.shop("    compliance_profile: en_g3\n    users: [{name: Ann, code: \"471108\"}]")
        )
        #expect(try await Self.loaded(world).configuration.site.complianceProfile == .enG3)
    }

    @Test func `a common area has no schedule, the file's or one that is there`() async throws {
        let world = try World()
        let start =
            "    partitions: [{number: 1}, {number: 2}]\n    schedules: [{partition: 2, disarm: true, at: \"07:00\"}]"
        try await world.apply("dealers: [{name: Acme Security}]\n" + Self.shop(start))
        let area = "    partitions: [{number: 2, common_area_of: [1]}]\n"
        let obstacle = "is 2, a common area, which arms and disarms with partition 1: name one of those instead"
        #expect(
            await Self.problems(world, Self.shop(area)) == [
                "line 5: sites[0].partitions[0].common_area_of: "
                    + Partition.commonAreaObstacle(
                        schedule: "partition 2: disarm at 07:00 on mon tue wed thu fri sat sun"
                    )
            ]
        )
        #expect(
            await Self.problems(world, Self.shop(area + "    schedules: [{partition: 2, disarm: true, at: \"07:00\"}]"))
                == [
                    "line 6: sites[0].schedules[0].partition: \(obstacle)"
                ]
        )
        try await world.apply(Self.shop(area + "    schedules: []"), FleetOptions(prunes: true))
    }

    @Test func `pruning a partition leaves a common area with the others`() async throws {
        let world = try World()
        try await world.apply(table("shop.yaml"))
        try await world.apply(
            Self.shop("    partitions: [{number: 1}, {number: 3}]\n    schedules: []"),
            FleetOptions(prunes: true)
        )
        let found = try await Self.loaded(world).configuration
        #expect(found.partitions.map(\.number) == [1, 3])
        #expect(found.partitions.last?.policy.commonAreaOf == [1])
    }
}
