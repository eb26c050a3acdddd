import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

extension SQLiteReading {
    func sites(within reach: Reach, filter: SiteFilter, page request: PageRequest) throws -> Page<Site> {
        var condition = Site.condition(reach)
        condition.add("dealer_id = ?", ifPresent: filter.dealerID)
        condition.add("partner_id = ?", ifPresent: filter.partnerID)
        condition.add("external_id = ?", ifPresent: filter.externalID)
        return try page(Site.select, where: condition, page: request, key: \.id.text, read: Site.init)
    }

    func site(_ id: SiteID, within reach: Reach) throws -> Site? {
        var condition = Site.condition(reach)
        condition.add("id = ?", id)
        return try database.first("\(Site.select) \(condition.sql)", condition.values, read: Site.init)
    }

    func site(named name: String, of dealer: DealerID, within reach: Reach) throws -> Site? {
        var condition = Site.condition(reach)
        condition.add("dealer_id = ?", dealer)
        condition.add("name = ?", name)
        return try database.first("\(Site.select) \(condition.sql)", condition.values, read: Site.init)
    }

    func siteRecord(_ id: SiteID, within reach: Reach) throws -> SiteRecord? {
        guard try site(id, within: reach) != nil else { return nil }
        return try SiteLoader(database).load(id, withPeople: false)
    }

    func pendingDeadlines(after: (due: Instant, site: SiteID)?, limit: Int) throws -> [(site: SiteID, due: Instant)] {
        var condition = Condition()
        condition.add("next_due IS NOT NULL")
        // Where the site is gone meanwhile, those of its moment come twice: a wake in vain.
        let place = "coalesce((SELECT place FROM site_state WHERE site_id = ?), 0)"
        if let after { condition.add("(next_due, place) > (?, \(place))", after.due, after.site) }
        return try database.all(
            "SELECT site_id, next_due FROM site_state \(condition.sql) ORDER BY next_due, place LIMIT ?",
            condition.values + [limit]
        ) { (site: $0.id(0), due: $0.instant(1)) }
    }
}

extension SQLiteTransaction {
    func insert(_ site: Site, partitions: [Partition]) throws {
        let state = SiteState(
            partitions: Dictionary(
                partitions.map { ($0.id, PartitionState(since: site.createdAt)) },
                uniquingKeysWith: { first, _ in first }
            )
        )
        try database.run(
            """
            INSERT INTO site (dealer_id, partner_id, external_id, name, timezone, address, test_mode, arming_model,
                compliance_profile, id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            site.values + [site.id, site.createdAt]
        )
        try database.run(
            "INSERT INTO site_state (site_id, version, next_due, state) VALUES (?, 1, ?, ?)",
            [site.id, site.dueOnceChanged, state.snapshot]
        )
        for partition in partitions { try insertRow(of: partition) }
        if let partner = site.partnerID { try startCursors(of: partner, in: site.dealerID) }
    }

    func update(_ site: Site) throws {
        try database.run(
            """
            UPDATE site SET dealer_id = ?, partner_id = ?, external_id = ?, name = ?, timezone = ?, address = ?,
                test_mode = ?, arming_model = ?, compliance_profile = ? WHERE id = ?
            """,
            site.values + [site.id]
        )
        try raiseVersion(of: site.id)
    }

    func deleteSite(_ id: SiteID) throws {
        try database.run("DELETE FROM known_report WHERE site_id = ?", [id])
        try database.run("DELETE FROM site WHERE id = ?", [id])
    }

    func insert(_ partition: Partition, since: Instant) throws {
        try insertRow(of: partition)
        try changeState(of: partition.siteID) { $0.partitions[partition.id] = PartitionState(since: since) }
    }

    func update(_ partition: Partition) throws {
        try database.run(
            """
            UPDATE partition SET number = ?, name = ?, exit_delay_away = ?, exit_delay_stay = ?, exit_delay_night = ?,
                exit_delay_custom = ?, entry_delay = ?, settings = ? WHERE site_id = ? AND id = ?
            """,
            partition.values + [partition.siteID, partition.id]
        )
        try raiseVersion(of: partition.siteID)
    }

    func deletePartition(_ id: PartitionID, of site: SiteID) throws {
        try database.run("DELETE FROM partition WHERE site_id = ? AND id = ?", [site, id])
        try changeState(of: site) { $0.partitions[id] = nil }
    }

    private func insertRow(of partition: Partition) throws {
        try database.run(
            """
            INSERT INTO partition (number, name, exit_delay_away, exit_delay_stay, exit_delay_night, exit_delay_custom,
                entry_delay, settings, site_id, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            partition.values + [partition.siteID, partition.id]
        )
    }

    /// Raises the version of a site whose configuration changes, so that no decision stands on an old one.
    ///
    /// It makes a platform-triggered site due at once: schedules, delays and reasons not to arm may have changed with it. A
    /// partner's site runs nothing by itself, but while a device of it is offline its zones may hang on another one now.
    func raiseVersion(of site: SiteID) throws {
        try database.run("UPDATE site_state SET \(Self.changed) WHERE site_id = ?", [site])
    }

    /// The same for every site of a dealer, whose holidays they keep.
    func raiseVersions(ofPlatformSitesOf dealer: DealerID) throws {
        try database.run(
            """
            UPDATE site_state SET \(Self.changed)
                WHERE site_id IN (SELECT id FROM site WHERE dealer_id = ? AND arming_model = ?)
            """,
            [dealer, ArmingModel.platformTriggered.rawValue]
        )
    }

    /// The same for every site of a dealer, whose settings all of them keep.
    func raiseVersions(ofSitesOf dealer: DealerID) throws {
        try database.run(
            "UPDATE site_state SET \(Self.changed) WHERE site_id IN (SELECT id FROM site WHERE dealer_id = ?)",
            [dealer]
        )
    }

    private static let changed = """
        version = version + 1,
            next_due = CASE WHEN instr(state, CAST('"offline":' AS BLOB)) > 0 OR (SELECT arming_model FROM site
                WHERE id = site_id) = '\(ArmingModel.platformTriggered.rawValue)' THEN 0 ELSE next_due END
        """

    private func changeState(of site: SiteID, _ change: (inout SiteState) -> Void) throws {
        let stored = try database.first("SELECT state FROM site_state WHERE site_id = ?", [site]) { $0.bytes(0) }
        guard let stored else { return }
        var state = try SiteState(snapshot: stored)
        change(&state)
        try database.run(
            "UPDATE site_state SET state = ?, next_due = ? WHERE site_id = ?",
            [state.snapshot, state.nextDeadline, site]
        )
        try raiseVersion(of: site)
    }
}

/// Loads what the arming machine needs of a site, with statements that are prepared once.
struct SiteLoader {
    private let site: PreparedStatement
    private let partitions: PreparedStatement
    private let zones: PreparedStatement
    private let devices: PreparedStatement
    private let users: PreparedStatement
    private let schedules: PreparedStatement
    private let holidays: PreparedStatement
    private let relays: PreparedStatement

    init(_ database: Database) throws {
        site = try PreparedStatement(
            database,
            """
            SELECT \(Site.columns), version, state, next_due,
                (SELECT auto_resolve_cancelled FROM dealer WHERE dealer.id = dealer_id)
                FROM site CROSS JOIN site_state ON site_id = site.id WHERE site.id = ?
            """
        )
        partitions = try PreparedStatement(database, "\(Partition.select) WHERE site_id = ?")
        zones = try PreparedStatement(
            database,
            "SELECT \(Fixture.columns) FROM fixture WHERE site_id = ? AND kind = 'zone' AND number IS NOT NULL"
        )
        devices = try PreparedStatement(database, "SELECT id FROM fixture WHERE site_id = ? AND kind = 'device'")
        users = try PreparedStatement(
            database,
            "SELECT \(Fixture.columns) FROM fixture WHERE site_id = ? AND kind = 'user'"
        )
        schedules = try PreparedStatement(
            database,
            "SELECT \(Fixture.columns) FROM fixture WHERE site_id = ? AND kind = 'schedule' ORDER BY id"
        )
        holidays = try PreparedStatement(
            database,
            "SELECT holidays FROM dealer WHERE id = ? AND holidays IS NOT NULL"
        )
        relays = try PreparedStatement(
            database,
            "SELECT \(Fixture.columns) FROM fixture WHERE site_id = ? AND kind = 'relay'"
        )
    }

    /// Loads a site; its people only where asked for, and where codes are checked: they may be thousands.
    func load(_ id: SiteID, withPeople: Bool = true) throws -> SiteRecord? {
        guard
            let (found, version, state, isReconfigured, resolves) = try site.first(
                id,
                read: {
                    (
                        try Site($0), $0.integer(Site.columnCount),
                        try SiteState(snapshot: $0.bytes(Site.columnCount + 1)),
                        $0.optional(Site.columnCount + 2, $0.integer) == 0, $0.bool(Site.columnCount + 3)
                    )
                }
            )
        else { return nil }
        var parts: [Partition] = []
        try partitions.forEach(id) { row in
            parts.append(try Partition(row))
            return true
        }
        var guarding: [Zone] = []
        try zones.forEach(id) { row in
            if let zone = Zone(try Fixture(row)) { guarding.append(zone) }
            return true
        }
        var known: Set<DeviceID> = []
        try devices.forEach(id) { row in
            known.insert(row.id(0))
            return true
        }
        var configuration = SiteConfiguration(site: found, partitions: parts, zones: guarding, devices: known)
        if withPeople, found.armingModel == .platformTriggered {
            configuration = SiteConfiguration(
                site: found,
                partitions: parts,
                zones: guarding,
                devices: known,
                users: try people(of: id),
                schedules: try rules(of: id)
            )
            if !configuration.schedules.isEmpty { configuration.holidays = try restingDays(of: found.dealerID) }
        }
        configuration.autoResolvesCancelled = resolves
        configuration.relays = try switched(of: id)
        return SiteRecord(
            configuration: configuration,
            state: state,
            version: version,
            isReconfigured: isReconfigured
        )
    }

    private func people(of site: SiteID) throws -> [SiteUser] {
        var people: [SiteUser] = []
        try users.forEach(site) { row in
            if let user = SiteUser(try Fixture(row)) { people.append(user) }
            return true
        }
        return people
    }

    /// A rule that cannot be read is left out, so that the site goes on without it; `admin verify` tells of it.
    private func rules(of site: SiteID) throws -> [Schedule] {
        var rules: [Schedule] = []
        try schedules.forEach(site) { row in
            if let rule = try? Schedule(try Fixture(row)) { rules.append(rule) }
            return true
        }
        return rules
    }

    /// In the order of their ids; one that cannot be read is left out, as a rule is.
    private func switched(of site: SiteID) throws -> [Relay] {
        var found: [Relay] = []
        try relays.forEach(site) { row in
            if let relay = try? Relay(try Fixture(row)) { found.append(relay) }
            return true
        }
        return found.sorted { $0.id < $1.id }
    }

    private func restingDays(of dealer: DealerID) throws -> Set<CivilDate> {
        let stored = try holidays.first(dealer) { try Holiday.stored($0.bytes(0), of: dealer.text) }
        return Set((stored ?? []).map(\.date))
    }
}

extension Site {
    static let columns = """
        id, dealer_id, partner_id, external_id, name, timezone, address, test_mode, arming_model, created_at,
            compliance_profile
        """
    static let columnCount: Int32 = 11
    fileprivate static let select = "SELECT \(columns) FROM site"

    init(_ row: ResultRow) throws {
        self.init(
            id: row.id(0),
            dealerID: row.id(1),
            partnerID: row.optional(2, row.id),
            externalID: row.optional(3, row.text),
            name: row.text(4),
            timezone: row.text(5),
            address: row.optional(6, row.text),
            testMode: row.bool(7),
            armingModel: try row.word(8),
            complianceProfile: try row.word(10),
            createdAt: row.instant(9)
        )
    }

    fileprivate var values: [any Bindable] {
        [
            dealerID, partnerID, externalID, name, timezone, address, testMode, armingModel.rawValue,
            complianceProfile.rawValue,
        ]
    }

    /// When the engine looks at the site once its configuration has changed: at once, where its schedules and delays are
    /// ours.
    fileprivate var dueOnceChanged: Instant? {
        switch armingModel {
        case .platformTriggered: Instant(millisecondsSinceEpoch: 0)
        case .partnerTriggered: nil
        }
    }

    static func condition(_ reach: Reach) -> Condition {
        var condition = Condition()
        switch reach {
        case .platform: break
        case .dealer(let id): condition.add("dealer_id = ?", id)
        case .partner(let id): condition.add("partner_id = ?", id)
        }
        return condition
    }
}

extension Partition {
    fileprivate static let select = """
        SELECT id, site_id, number, name, exit_delay_away, exit_delay_stay, exit_delay_night, exit_delay_custom,
            entry_delay, settings FROM partition
        """

    fileprivate init(_ row: ResultRow) throws {
        let settings = try row.optional(9, row.bytes).flatMap { try JSONParser.parse($0).object }
        self.init(
            id: row.id(0),
            siteID: row.id(1),
            number: row.int(2),
            name: row.text(3),
            exitDelaySeconds: ExitDelays(away: row.int(4), stay: row.int(5), night: row.int(6), custom: row.int(7)),
            entryDelaySeconds: row.int(8),
            policy: settings.map(PartitionPolicy.init(settings:)) ?? PartitionPolicy()
        )
    }

    fileprivate var values: [any Bindable] {
        let delays = exitDelaySeconds
        let settings = policy.settings
        return [
            number, name, delays.away, delays.stay, delays.night, delays.custom, entryDelaySeconds,
            settings.isEmpty ? nil as [UInt8]? : JSON.object(settings).bytes,
        ]
    }
}
