import Foundation
import TocsinCore
import TocsinEngine
import TocsinJSON
import Yams

/// Limits of what one site may have.
enum SiteLimits {
    static let partitionNumbers = 1...999
    static let zoneNumbers = 1...9999
    /// More of one kind than any site of the field has.
    static let fixturesPerKind = 10_000
}

extension FleetParser {
    mutating func site(_ node: Node, at place: Place) -> FleetSite? {
        let lists = FixtureKind.allCases.map(\.listName)
        let optional =
            ["external_site_id", "partner", "address", "test_mode", "compliance_profile", "partitions"] + lists
        guard
            let members = reader.members(node, at: place, required: ["name", "dealer", "timezone"], optional: optional)
        else { return nil }
        let name = reader.text(members, "name")
        let externalID = reader.text(members, "external_site_id")
        let dealer = reader.marked(members, "dealer")
        let partner = reader.marked(members, "partner")
        let timezone = timezone(members)
        let address = reader.text(members, "address", upTo: 500)
        let testMode = reader.boolean(members, "test_mode")
        let profile: ComplianceProfile? = reader.choice(members, "compliance_profile")
        let partitions = each(members, "partitions") { $0.partition($1, at: $2) }
        checkPartitions(partitions, at: members.place(of: "partitions"))
        var fixtures: [FixtureKind: [FleetFixture]] = [:]
        for kind in FixtureKind.allCases {
            fixtures[kind] = each(members, kind.listName) { $0.fixture(kind, $1, at: $2) }
            checkFixtures(fixtures[kind] ?? [], of: kind, at: members.place(of: kind.listName))
        }
        checkCodes(fixtures[.user] ?? [], digits: (profile ?? .none).codeDigits)
        guard let name, let dealer, let timezone else { return nil }
        return FleetSite(
            place: place,
            name: name,
            externalID: externalID,
            dealer: dealer,
            partner: partner,
            timezone: timezone,
            address: address,
            testMode: testMode,
            complianceProfile: profile,
            partitions: partitions,
            fixtures: fixtures
        )
    }

    private mutating func timezone(_ members: Members) -> String? {
        guard let name = reader.text(members, "timezone") else { return nil }
        let isKnown = knownTimezones[name] ?? Timezones.isKnown(name)
        knownTimezones[name] = isKnown
        if !isKnown {
            reader.problems.add(
                members.place(of: "timezone"),
                "“\(name)” is not an IANA time zone: use a name such as America/Chicago"
            )
        }
        return name
    }

    private mutating func partition(_ node: Node, at place: Place) -> FleetPartition? {
        let optional = ["name", "exit_delay_seconds", "entry_delay_seconds"] + PartitionPolicy.members
        guard let members = reader.members(node, at: place, required: ["number"], optional: optional) else {
            return nil
        }
        let number = reader.integer(members, "number", in: SiteLimits.partitionNumbers)
        let name = reader.text(members, "name")
        var delays: [ExitMode: Int] = [:]
        if let node = members.node("exit_delay_seconds"),
            let modes = reader.members(
                node,
                at: members.place(of: "exit_delay_seconds"),
                required: [],
                optional: ExitMode.allCases.map(\.rawValue)
            )
        {
            for mode in ExitMode.allCases {
                delays[mode] = reader.integer(modes, mode.rawValue, in: Partition.delaySeconds)
            }
        }
        let entry = reader.integer(members, "entry_delay_seconds", in: Partition.delaySeconds)
        let policy = policy(members)
        return number.map {
            FleetPartition(
                place: place,
                number: $0,
                name: name,
                exitDelays: delays,
                entryDelaySeconds: entry,
                policy: policy
            )
        }
    }

    private mutating func checkPartitions(_ partitions: [FleetPartition]?, at place: Place) {
        guard let partitions else { return }
        reader.distinct(partitions, "the partition’s number", by: \.number, at: \.place)
        if partitions.count > Partition.maximumPerSite {
            reader.problems.add(
                place,
                "has \(partitions.count) partitions, and \(Partition.maximumPerSite) are the limit of a site"
            )
        }
    }

    private mutating func checkFixtures(_ fixtures: [FleetFixture], of kind: FixtureKind, at place: Place) {
        reader.distinct(fixtures, "the \(kind.rawValue)’s number", by: \.number, at: \.place)
        reader.distinct(fixtures, "the \(kind.rawValue)’s name", by: \.name, at: \.place)
        if fixtures.count > SiteLimits.fixturesPerKind {
            reader.problems.add(
                place,
                "has \(fixtures.count) entries, and \(SiteLimits.fixturesPerKind) are the limit of a site"
            )
        }
    }

    /// Codes are unique in a site; taken and weak ones are refused in the same words (design, arming: people).
    private mutating func checkCodes(_ users: [FleetFixture], digits: ClosedRange<Int>) {
        var seen: Set<String> = []
        for code in users.flatMap({ [$0.code, $0.duressCode] }).compactMap(\.self) {
            if !UserCode.isAcceptable(code.value, digits: digits) || !seen.insert(code.value).inserted {
                reader.problems.add(code.place, UserCode.refusal(digits: digits))
            }
        }
    }

    mutating func checkSites(_ sites: [FleetSite]) {
        reader.distinct(sites, "the site’s name", by: { SiteKey(owner: $0.dealer.value, text: $0.name) }, at: \.place)
        reader.distinct(
            sites,
            "the external_site_id",
            by: { site in
                site.externalID.map { SiteKey(owner: site.partner?.value ?? "\u{0}\(site.dealer.value)", text: $0) }
            },
            at: \.place
        )
    }
}

/// What a site is told apart by, within its dealer or partner.
private struct SiteKey: Hashable, CustomStringConvertible {
    var owner: String
    var text: String
    var description: String { text }
}

/// Names of the IANA time zone database.
package enum Timezones {
    /// The rules that schedules run by: a name that only another program knows must not be saved.
    private static let known = TimeZones()

    package static func isKnown(_ name: String) -> Bool {
        known.isName(ofZone: name)
    }
}

extension FixtureKind {
    /// The member of a site that lists them.
    package var listName: String { rawValue + "s" }
}
