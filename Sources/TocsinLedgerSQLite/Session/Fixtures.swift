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
        try raiseVersion(of: fixture.siteID)
    }

    func update(_ fixture: Fixture) throws {
        try database.run(
            "UPDATE fixture SET number = ?, name = ?, settings = ? WHERE id = ? AND site_id = ?",
            fixture.values + [fixture.id, fixture.siteID]
        )
        try raiseVersion(of: fixture.siteID)
    }

    func deleteFixture(_ id: String, of site: SiteID) throws {
        try database.run("DELETE FROM fixture WHERE id = ? AND site_id = ?", [id, site])
        try raiseVersion(of: site)
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
