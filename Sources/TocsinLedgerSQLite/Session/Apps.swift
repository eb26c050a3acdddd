import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func apps(within reach: Reach, page request: PageRequest) throws -> Page<App> {
        guard let condition = App.condition(reach) else { return Page(items: [], next: nil) }
        return try page(App.select, where: condition, page: request, key: \.id.text) { try App($0) }
    }

    func app(_ id: AppID, within reach: Reach) throws -> App? {
        guard var condition = App.condition(reach) else { return nil }
        condition.add("id = ?", id)
        return try database.first("\(App.select) \(condition.sql)", condition.values) { try App($0) }
    }

    func app(named name: String, of dealer: DealerID) throws -> App? {
        try database.first("\(App.select) WHERE dealer_id = ? AND name = ?", [dealer, name]) { try App($0) }
    }

    func app(authenticatingWith hash: String) throws -> (app: App, key: AppKey)? {
        try database.first(
            """
            SELECT \(App.columns), app_key.app_id, app_key.hash, app_key.expires_at
                FROM app_key JOIN app ON app.id = app_key.app_id WHERE app_key.hash = ?
            """,
            [hash]
        ) { row in
            let key = AppKey(appID: row.id(8), hash: row.text(9), expiresAt: row.optional(10, row.instant))
            return (app: try App(row), key: key)
        }
    }
}

extension SQLiteTransaction {
    func insert(_ app: App) throws {
        try database.run(
            """
            INSERT INTO app (dealer_id, name, scopes, ip_allow_list, is_revoked, tier, id, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            app.values + [app.id, app.createdAt]
        )
    }

    func update(_ app: App) throws {
        try database.run(
            """
            UPDATE app SET dealer_id = ?, name = ?, scopes = ?, ip_allow_list = ?, is_revoked = ?, tier = ? WHERE id = ?
            """,
            app.values + [app.id]
        )
    }

    func deleteApp(_ id: AppID) throws {
        try Remains(database).leaveEndpoints("app_id = ?", id)
        try database.run("DELETE FROM app WHERE id = ?", [id])
    }

    func insert(_ key: AppKey) throws {
        try database.run(
            "INSERT INTO app_key (hash, app_id, expires_at) VALUES (?, ?, ?)",
            [key.hash, key.appID, key.expiresAt]
        )
    }

    func expireKeys(of app: AppID, except hash: String?, at instant: Instant) throws {
        try database.run(
            """
            UPDATE app_key SET expires_at = ?1
                WHERE app_id = ?2 AND hash IS NOT ?3 AND (expires_at IS NULL OR expires_at > ?1)
            """,
            [instant, app, hash]
        )
    }
}

extension App {
    fileprivate static let columns = """
        app.id, app.dealer_id, app.name, app.scopes, app.ip_allow_list, app.is_revoked, app.tier, app.created_at
        """
    fileprivate static let select = "SELECT \(columns) FROM app"

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            id: row.id(0),
            dealerID: row.id(1),
            name: row.text(2),
            scopes: Set(WordList.words(row.text(3)).compactMap(Scope.init)),
            // The order is the admin's own, and no entry holds a blank.
            ipAllowList: row.text(4).split(separator: " ").map(String.init),
            isRevoked: row.bool(5),
            tier: try row.word(6),
            createdAt: row.instant(7)
        )
    }

    fileprivate var values: [any Bindable] {
        [
            dealerID, name, WordList.text(scopes.map(\.rawValue)), ipAllowList.joined(separator: " "), isRevoked,
            tier.rawValue,
        ]
    }

    /// None where the reach covers no app at all.
    fileprivate static func condition(_ reach: Reach) -> Condition? {
        var condition = Condition()
        switch reach {
        case .platform: break
        case .dealer(let id): condition.add("dealer_id = ?", id)
        case .partner: return nil
        }
        return condition
    }
}
