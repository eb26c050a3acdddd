import TocsinCore
import TocsinJSON

/// The site of a table: the lines before its first case, changed by a case's own `with` lines.
///
/// Settings bear the names of the wire, and are read by the code that reads them from the fleet file and the API.
struct TableSite {
    private(set) var configuration: SiteConfiguration
    private(set) var timeZone = TimeZoneRules.utc
    /// Whether audit notes and notices are told only where the case is about them; tables with a `site` line are so.
    private(set) var isBrief = false

    private var site = Site.sample()
    private var partitions: [Partition] = []
    private var zones: [Zone] = []
    private var devices: Set<DeviceID> = []
    private var users: [SiteUser] = []

    init(_ table: Table, _ example: Table.Case?) throws {
        configuration = SiteConfiguration(site: .sample(), partitions: [])
        for line in try Self.merged(table.site + (example?.site ?? []), in: table) {
            switch line.words[0] {
            case "site": try read(site: line, in: table)
            case "partition": partitions.append(try Partition(line, in: table))
            case "zone": zones.append(try Zone(line, in: table))
            case "device": devices.insert(DeviceID(stored: line.words[1]))
            case "user": users.append(try SiteUser(line, in: table))
            default:
                throw table.mistake(line.line, "only a site, a partition, a zone, a device or a user can be configured")
            }
        }
        configuration = SiteConfiguration(
            site: site,
            partitions: partitions,
            zones: zones,
            devices: devices,
            users: users
        )
    }

    private mutating func read(site line: Table.Phrase, in table: Table) throws {
        try line.allow(["profile", "utc_offset_hours"], in: table)
        isBrief = true
        switch line.words.dropFirst().first {
        case "platform":
            site.armingModel = .platformTriggered
            site.partnerID = nil
        case "partner": break
        case let other: throw table.mistake(line.line, "a site is platform or partner, not \(other ?? "nothing")")
        }
        if let profile = line.fact("profile") {
            guard let known = ComplianceProfile(rawValue: profile) else {
                throw table.mistake(line.line, "the profile \(profile) is unknown")
            }
            site.complianceProfile = known
        }
        if let hours = line.fact("utc_offset_hours").flatMap({ Int($0) }) {
            timeZone = TimeZoneRules(name: "UTC\(hours)", initialOffsetSeconds: hours * 3600, transitions: [])
        }
    }

    /// One line per thing: a later line on the same thing adds to the first, and changes what it says again.
    private static func merged(_ lines: [Table.Phrase], in table: Table) throws -> [Table.Phrase] {
        var merged: [Table.Phrase] = []
        for line in lines {
            guard line.words.count >= 2 else {
                throw table.mistake(line.line, "before the first case stand lines as: partition 1 House")
            }
            let isSame = { (other: Table.Phrase) in
                other.words[0] == line.words[0] && (line.words[0] == "site" || other.words[1] == line.words[1])
            }
            guard let index = merged.firstIndex(where: isSame) else {
                merged.append(line)
                continue
            }
            merged[index].line = line.line
            if line.words[0] == "site" { merged[index].words = line.words }
            merged[index].facts.removeAll { old in line.facts.contains { $0.name == old.name } }
            merged[index].facts += line.facts
        }
        return merged
    }
}

extension Partition {
    private static let policyNames: Set = [
        "exit_violation", "exit_error", "exit_restart", "stay_if_unvacated", "offline_zone", "bell_seconds",
        "abort_window_seconds", "cancel_window_seconds", "cross_zone_seconds", "bypass_limit", "custom_modes",
        "common_area_of",
    ]

    fileprivate init(_ line: Table.Phrase, in table: Table) throws {
        try line.allow(Self.policyNames.union(["exit", "entry"]), in: table)
        let exits = (line.fact("exit") ?? "60/30/0/60").split(separator: "/").compactMap { Int($0) }
        guard exits.count == 4, let entry = Int(line.fact("entry") ?? "30") else {
            throw table.mistake(line.line, "delays are written exit=AWAY/STAY/NIGHT/CUSTOM entry=SECONDS")
        }
        let number = try line.number(in: table)
        self.init(
            id: PartitionID(stored: "p_\(number)"),
            siteID: Site.sample().id,
            number: number,
            name: line.words.count > 2 ? line.words[2] : "Partition \(number)",
            exitDelaySeconds: ExitDelays(away: exits[0], stay: exits[1], night: exits[2], custom: exits[3]),
            entryDelaySeconds: entry,
            policy: PartitionPolicy(settings: line.settings(lists: ["custom_modes", "common_area_of"]))
        )
    }
}

extension Zone {
    private static let settingNames: Set = [
        "type", "kind", "partitions", "device_id", "modes", "entry_delay_seconds", "delay_on_seconds", "silent",
        "swinger_limit", "swinger_exempt", "bypassable", "force_armable", "entry_override", "abort_window",
        "cross_group", "exterior",
    ]

    fileprivate init(_ line: Table.Phrase, in table: Table) throws {
        try line.allow(Self.settingNames, in: table)
        let number = try line.number(in: table)
        var settings = line.settings(lists: ["partitions", "modes"])
        settings["type"] = settings["type"] ?? .string(ZoneType.exitEntry.rawValue)
        let fixture = Fixture(
            id: "zone_\(number)",
            siteID: Site.sample().id,
            kind: .zone,
            number: number,
            name: line.words.count > 2 ? line.words[2] : "Zone \(number)",
            settings: settings
        )
        guard let zone = Zone(fixture) else { throw table.mistake(line.line, "the type of the zone is unknown") }
        self = zone
    }
}

extension SiteUser {
    private static let settingNames: Set = [
        "code", "duress", "partitions", "modes", "actions", "valid_from", "valid_until", "one_time", "maximum_uses",
        "days", "from", "to",
    ]

    /// In a table a code is its own hash.
    fileprivate init(_ line: Table.Phrase, in table: Table) throws {
        try line.allow(Self.settingNames, in: table)
        let facts = line.settings(lists: ["partitions", "modes", "actions", "days"])
        var settings = JSONObject()
        settings["rights"] = .object(facts)
        for name in ["one_time", "maximum_uses"] { settings[name] = facts[name] }
        for name in ["valid_from", "valid_until"] {
            settings[name] = line.fact(name).flatMap(Table.instant).map { .string($0.rfc3339Seconds) }
        }
        settings["code_hash"] = line.fact("code").map(JSON.string)
        settings["duress_code_hash"] = line.fact("duress").map(JSON.string)
        if line.fact("from") != nil { settings["windows"] = .array([.object(facts)]) }
        let fixture = Fixture(
            id: "usr_\(line.words[1])",
            siteID: Site.sample().id,
            kind: .user,
            number: nil,
            name: line.words[1],
            settings: settings
        )
        guard let user = SiteUser(fixture) else { throw table.mistake(line.line, "the user cannot be read") }
        self = user
    }
}

extension Table.Phrase {
    fileprivate func allow(_ known: Set<String>, in table: Table) throws {
        if let other = facts.first(where: { !known.contains($0.name) }) {
            throw table.mistake(line, "there is no setting \"\(other.name)\"")
        }
    }

    fileprivate func number(in table: Table) throws -> Int {
        guard let number = Int(words[1]) else { throw table.mistake(line, "\"\(words[1])\" is not a number") }
        return number
    }

    /// The facts as settings of the fleet file.
    fileprivate func settings(lists: Set<String>) -> JSONObject {
        var settings = JSONObject()
        for (name, value) in facts {
            settings[name] =
                lists.contains(name)
                ? .array(value.split(separator: ",").map { Self.json(String($0)) }) : Self.json(value)
        }
        return settings
    }

    private static func json(_ text: String) -> JSON {
        switch text {
        case "yes": .bool(true)
        case "no": .bool(false)
        default: Int64(text).map(JSON.integer) ?? .string(text)
        }
    }
}
