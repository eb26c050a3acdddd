import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

extension SQLiteReading {
    func fixtures(of site: SiteID, kind: FixtureKind, within reach: Reach) throws -> [Fixture] {
        guard try self.site(site, within: reach) != nil else { return [] }
        return try database.all(
            "\(Fixture.select) WHERE site_id = ? AND kind = ? ORDER BY number, name",
            [site, kind.rawValue],
            read: Fixture.init
        )
    }

    func fixtures(
        of site: SiteID,
        kind: FixtureKind,
        within reach: Reach,
        page request: PageRequest
    ) throws -> Page<Fixture> {
        guard try self.site(site, within: reach) != nil else { return Page(items: [], next: nil) }
        // Each order is that of an index, so that a page costs no more than its rows.
        let order = kind == .zone ? "number" : "name"
        let start: any Bindable = kind == .zone ? request.after.flatMap { Int($0) } ?? 0 : request.after ?? ""
        let limit = request.boundedLimit
        let found = try database.all(
            "\(Fixture.select) WHERE site_id = ? AND kind = ? AND \(order) > ? ORDER BY \(order) LIMIT ?",
            [site, kind.rawValue, start, limit + 1],
            read: Fixture.init
        )
        return Page(found, limit: limit) { $0.number.map(String.init) ?? $0.name }
    }

    func fixtureCount(of site: SiteID, kind: FixtureKind) throws -> Int {
        Int(
            try database.number(
                "SELECT count(*) FROM fixture WHERE site_id = ? AND kind = ?",
                [site, kind.rawValue]
            )
        )
    }

    func codeHolder(_ hash: String, at site: SiteID) throws -> (user: UserID, isDuress: Bool)? {
        try database.first(
            "SELECT user_id, is_duress FROM user_code WHERE site_id = ? AND hash = ?",
            [site, hash]
        ) { (user: $0.id(0), isDuress: $0.bool(1)) }
    }

    func fixture(_ id: String, kind: FixtureKind, within reach: Reach) throws -> Fixture? {
        let found = try database.first(
            "\(Fixture.select) WHERE id = ? AND kind = ?",
            [id, kind.rawValue],
            read: Fixture.init
        )
        guard let found, try site(found.siteID, within: reach) != nil else { return nil }
        return found
    }
}

extension SQLiteTransaction {
    func insert(_ fixture: Fixture) throws {
        try database.run(
            "INSERT INTO fixture (number, name, settings, site_id, kind, id) VALUES (?, ?, ?, ?, ?, ?)",
            fixture.values + [fixture.siteID, fixture.kind.rawValue, fixture.id]
        )
        try insertCodes(of: fixture)
        if fixture.kind == .device { try insertDevice(fixture) }
        try raiseVersion(of: fixture.siteID)
    }

    func update(_ fixture: Fixture) throws {
        try database.run(
            "UPDATE fixture SET number = ?, name = ?, settings = ? WHERE id = ? AND site_id = ?",
            fixture.values + [fixture.id, fixture.siteID]
        )
        if fixture.kind == .user {
            try database.run("DELETE FROM user_code WHERE user_id = ?", [fixture.id])
            try insertCodes(of: fixture)
        }
        try raiseVersion(of: fixture.siteID)
    }

    func deleteFixture(_ id: String, of site: SiteID) throws {
        try database.run("DELETE FROM fixture WHERE id = ? AND site_id = ?", [id, site])
        try raiseVersion(of: site)
    }

    /// Enters a user's codes where they are looked for; a code that another user of the site holds is refused.
    private func insertCodes(of fixture: Fixture) throws {
        guard let user = SiteUser(fixture) else { return }
        for (hash, isDuress) in [(user.codeHash, false), (user.duressCodeHash, true)] {
            guard let hash else { continue }
            try database.run(
                "INSERT INTO user_code (site_id, hash, user_id, is_duress) VALUES (?, ?, ?, ?)",
                [fixture.siteID, hash, fixture.id, isDuress]
            )
        }
    }
}

extension Fixture {
    static let columns = "id, site_id, kind, number, name, settings"
    fileprivate static let select = "SELECT \(columns) FROM fixture"

    init(_ row: ResultRow) throws {
        guard let settings = try JSONParser.parse(row.bytes(5)).object else {
            throw LedgerDamage(description: "the settings of \(row.text(0)) are not an object")
        }
        self.init(
            id: row.text(0),
            siteID: row.id(1),
            kind: try row.word(2),
            number: row.optional(3, row.int),
            name: row.text(4),
            settings: settings
        )
    }

    fileprivate var values: [any Bindable] { [number, name, JSON.object(settings).bytes] }
}
