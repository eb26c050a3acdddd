import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

extension SQLiteReading {
    func dealers(within reach: Reach, page request: PageRequest) throws -> Page<Dealer> {
        try page(Dealer.select, where: Dealer.condition(reach), page: request, key: \.id.text, read: Dealer.init)
    }

    func dealer(_ id: DealerID, within reach: Reach) throws -> Dealer? {
        var condition = Dealer.condition(reach)
        condition.add("id = ?", id)
        return try database.first("\(Dealer.select) \(condition.sql)", condition.values, read: Dealer.init)
    }

    func dealer(named name: String, within reach: Reach) throws -> Dealer? {
        var condition = Dealer.condition(reach)
        condition.add("name = ?", name)
        return try database.first("\(Dealer.select) \(condition.sql)", condition.values, read: Dealer.init)
    }

    func partners(within reach: Reach, page request: PageRequest) throws -> Page<Partner> {
        try page(Partner.select, where: Partner.condition(reach), page: request, key: \.id.text, read: Partner.init)
    }

    func partner(_ id: PartnerID, within reach: Reach) throws -> Partner? {
        var condition = Partner.condition(reach)
        condition.add("id = ?", id)
        return try database.first("\(Partner.select) \(condition.sql)", condition.values, read: Partner.init)
    }

    func partner(named name: String, within reach: Reach) throws -> Partner? {
        var condition = Partner.condition(reach)
        condition.add("name = ?", name)
        return try database.first("\(Partner.select) \(condition.sql)", condition.values, read: Partner.init)
    }

    func partner(authenticatingAs clientID: String) throws -> Partner? {
        try database.first("\(Partner.select) WHERE client_id = ?", [clientID], read: Partner.init)
    }

    func adminToken(hash: String) throws -> AdminToken? {
        try database.first("\(AdminToken.select) WHERE hash = ?", [hash], read: AdminToken.init)
    }

    func adminTokens(within reach: Reach) throws -> [AdminToken] {
        switch reach {
        case .platform: try database.all("\(AdminToken.select) ORDER BY id", read: AdminToken.init)
        case .dealer(let id):
            try database.all("\(AdminToken.select) WHERE dealer_id = ? ORDER BY id", [id], read: AdminToken.init)
        case .partner: []
        }
    }

    func isLinked(_ dealer: DealerID, to partner: PartnerID) throws -> Bool {
        try database.exists("SELECT 1 FROM dealer_partner WHERE dealer_id = ? AND partner_id = ?", [dealer, partner])
    }

    func linkedPartners(of dealer: DealerID) throws -> [PartnerID] {
        try database.all("SELECT partner_id FROM dealer_partner WHERE dealer_id = ? ORDER BY partner_id", [dealer]) {
            $0.id(0)
        }
    }

    func linkedDealers(of partner: PartnerID) throws -> [DealerID] {
        try database.all("SELECT dealer_id FROM dealer_partner WHERE partner_id = ? ORDER BY dealer_id", [partner]) {
            $0.id(0)
        }
    }

    func holidays(of dealer: DealerID) throws -> [Holiday] {
        let stored = try database.first("SELECT holidays FROM dealer WHERE id = ?", [dealer]) { row in
            try row.optional(0, row.bytes).map { try Holiday.stored($0, of: dealer.text) }
        }
        return (stored ?? nil) ?? []
    }

    func scorecard(of partner: PartnerID) throws -> [ScorecardMark: Int64] {
        let marks: [(ScorecardMark, Int64)] = try database.all(
            "SELECT mark, count FROM scorecard WHERE partner_id = ?",
            [partner]
        ) { (try $0.word(0), $0.integer(1)) }
        return Dictionary(uniqueKeysWithValues: marks)
    }
}

extension SQLiteTransaction {
    func insert(_ dealer: Dealer) throws {
        try database.run(
            """
            INSERT INTO dealer (id, name, created_at, auto_resolve_cancelled, place)
                VALUES (?, ?, ?, ?, 1 + max(
                    (SELECT coalesce(max(place), 0) FROM dealer),
                    -- What is left of a dealer who is gone is told by the number.
                    (SELECT coalesce(max(dealer), 0) FROM remains)))
            """,
            [dealer.id, dealer.name, dealer.createdAt, dealer.autoResolvesCancelled]
        )
    }

    func update(_ dealer: Dealer) throws {
        let wasResolving = try database.exists(
            "SELECT 1 FROM dealer WHERE id = ? AND auto_resolve_cancelled",
            [dealer.id]
        )
        try database.run(
            "UPDATE dealer SET name = ?, auto_resolve_cancelled = ? WHERE id = ?",
            [dealer.name, dealer.autoResolvesCancelled, dealer.id]
        )
        if wasResolving != dealer.autoResolvesCancelled { try raiseVersions(ofSitesOf: dealer.id) }
    }

    func setHolidays(_ holidays: [Holiday], of dealer: DealerID) throws {
        let sorted = holidays.sorted { ($0.date, $0.name) < ($1.date, $1.name) }
        try database.run(
            "UPDATE dealer SET holidays = ? WHERE id = ?",
            [sorted.isEmpty ? nil as [UInt8]? : JSON.array(sorted.map(\.json)).bytes, dealer]
        )
        try raiseVersions(ofPlatformSitesOf: dealer)
    }

    func deleteDealer(_ id: DealerID) throws {
        try Remains(database).leave(id)
        try database.run("DELETE FROM dealer WHERE id = ?", [id])
    }

    func insert(_ partner: Partner) throws {
        try database.run(
            """
            INSERT INTO partner
                (name, arming_model, client_id, client_secret_hash, jwks, is_revoked, tier, created_at, id)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            partner.values + [partner.createdAt, partner.id]
        )
    }

    func update(_ partner: Partner) throws {
        try database.run(
            """
            UPDATE partner SET name = ?, arming_model = ?, client_id = ?, client_secret_hash = ?, jwks = ?,
                is_revoked = ?, tier = ? WHERE id = ?
            """,
            partner.values + [partner.id]
        )
    }

    /// The partner's sites go with it: their arming state has no other authority (decisions §3).
    func deletePartner(_ id: PartnerID) throws {
        try Remains(database).leaveEndpoints("partner_id = ?", id)
        try Remains(database).leaveReports()
        try database.run("DELETE FROM partner WHERE id = ?", [id])
    }

    func link(_ dealer: DealerID, to partner: PartnerID) throws {
        try database.run(
            "INSERT OR IGNORE INTO dealer_partner (dealer_id, partner_id) VALUES (?, ?)",
            [dealer, partner]
        )
        try startCursors(of: partner, in: dealer)
    }

    func unlink(_ dealer: DealerID, from partner: PartnerID) throws {
        try database.run("DELETE FROM dealer_partner WHERE dealer_id = ? AND partner_id = ?", [dealer, partner])
    }

    func insert(_ token: AdminToken) throws {
        try database.run(
            "INSERT INTO admin_token (id, name, hash, dealer_id, is_revoked, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            [token.id, token.name, token.hash, token.dealerID, token.isRevoked, token.createdAt]
        )
    }

    func update(_ token: AdminToken) throws {
        try database.run(
            "UPDATE admin_token SET name = ?, hash = ?, dealer_id = ?, is_revoked = ? WHERE id = ?",
            [token.name, token.hash, token.dealerID, token.isRevoked, token.id]
        )
    }
}

extension Dealer {
    fileprivate static let select = "SELECT id, name, created_at, auto_resolve_cancelled FROM dealer"

    fileprivate init(_ row: ResultRow) {
        self.init(
            id: row.id(0),
            name: row.text(1),
            createdAt: row.instant(2),
            autoResolvesCancelled: row.bool(3)
        )
    }

    fileprivate static func condition(_ reach: Reach) -> Condition {
        var condition = Condition()
        switch reach {
        case .platform: break
        case .dealer(let id): condition.add("id = ?", id)
        case .partner(let id):
            condition.add("id IN (SELECT dealer_id FROM dealer_partner WHERE partner_id = ?)", id)
        }
        return condition
    }
}

extension Holiday {
    /// Reads a dealer's holidays as the ledger keeps them.
    static func stored(_ bytes: [UInt8], of dealer: String) throws -> [Holiday] {
        let holidays = try JSONParser.parse(bytes).array?.map { Holiday($0) }
        guard let holidays, !holidays.contains(nil) else {
            throw LedgerDamage(description: "the holidays of \(dealer) are none")
        }
        return holidays.compactMap { $0 }
    }
}

extension Partner {
    fileprivate static let select = """
        SELECT id, name, arming_model, client_id, client_secret_hash, jwks, is_revoked, tier, created_at FROM partner
        """

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            id: row.id(0),
            name: row.text(1),
            armingModel: try row.word(2),
            clientID: row.text(3),
            clientSecretHash: row.text(4),
            jwks: row.optional(5, row.text),
            isRevoked: row.bool(6),
            tier: try row.word(7),
            createdAt: row.instant(8)
        )
    }

    fileprivate var values: [any Bindable] {
        [name, armingModel.rawValue, clientID, clientSecretHash, jwks, isRevoked, tier.rawValue]
    }

    fileprivate static func condition(_ reach: Reach) -> Condition {
        var condition = Condition()
        switch reach {
        case .platform: break
        case .dealer(let id):
            condition.add("id IN (SELECT partner_id FROM dealer_partner WHERE dealer_id = ?)", id)
        case .partner(let id): condition.add("id = ?", id)
        }
        return condition
    }
}

extension AdminToken {
    fileprivate static let select = "SELECT id, name, hash, dealer_id, is_revoked, created_at FROM admin_token"

    fileprivate init(_ row: ResultRow) {
        self.init(
            id: row.id(0),
            name: row.text(1),
            hash: row.text(2),
            dealerID: row.optional(3, row.id),
            isRevoked: row.bool(4),
            createdAt: row.instant(5)
        )
    }
}
