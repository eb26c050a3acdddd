import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func snapshots(
        within reach: Reach,
        filter: SnapshotFilter,
        page request: PageRequest
    ) throws -> Page<Snapshot> {
        var condition = Snapshot.condition(reach)
        condition.add("dealer_id = ?", ifPresent: filter.dealerID)
        condition.add("site_id = ?", ifPresent: filter.siteID)
        condition.add("device_id = ?", ifPresent: filter.deviceID)
        condition.add("alarm = ?", ifPresent: filter.alarm?.value)
        condition.add("id < ?", ifPresent: request.after)
        let limit = request.boundedLimit
        let found = try database.all(
            "\(Snapshot.select) \(condition.sql) ORDER BY id DESC LIMIT ?",
            condition.values + [limit + 1],
            read: Snapshot.init
        )
        return Page(found, limit: limit, key: \.id.text)
    }

    func snapshot(_ id: SnapshotID, within reach: Reach) throws -> Snapshot? {
        var condition = Snapshot.condition(reach)
        condition.add("id = ?", id)
        return try database.first("\(Snapshot.select) \(condition.sql)", condition.values, read: Snapshot.init)
    }

    func isInUse(_ content: StoredContent) throws -> Bool {
        try database.exists(
            "SELECT 1 FROM snapshot WHERE dealer_id = ? AND content = ?",
            [content.dealerID, content.hash.text]
        )
    }

    func contents(after: StoredContent?, limit: Int) throws -> [(content: StoredContent, size: Int)] {
        var condition = Condition()
        if let after { condition.add("(dealer_id, content) > (?, ?)", after.dealerID, after.hash.text) }
        return try database.all(
            """
            SELECT dealer_id, content, max(size) FROM snapshot \(condition.sql)
                GROUP BY dealer_id, content ORDER BY dealer_id, content LIMIT ?
            """,
            condition.values + [limit]
        ) { (StoredContent(dealerID: $0.id(0), hash: try $0.contentHash(1)), $0.int(2)) }
    }
}

extension SQLiteTransaction {
    func purgeSnapshots(madeBefore instant: Instant, limit: Int) throws -> (count: Int, unused: [StoredContent]) {
        var purged: [SnapshotID] = []
        var contents: Set<StoredContent> = []
        // Ids are in the order of their making: the first that is kept ends the search.
        try database.each(
            "SELECT id, created_at, dealer_id, content FROM snapshot ORDER BY id LIMIT ?",
            [limit]
        ) { row in
            guard row.instant(1) < instant else { return false }
            purged.append(row.id(0))
            contents.insert(StoredContent(dealerID: row.id(2), hash: try row.contentHash(3)))
            return true
        }
        guard let last = purged.last else { return (0, []) }
        try database.run("DELETE FROM snapshot WHERE id <= ?", [last])
        return (purged.count, try contents.filter { try !isInUse($0) })
    }
}

extension SnapshotDraft {
    /// Stores the snapshot with the number that its alarm has got.
    func store(alarm: AlarmNumber?, _ database: Database) throws {
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO snapshot (id, dealer_id, site_id, device_id, alarm, media_type, size, content, taken_at, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        try insertion.run(
            snapshot.id,
            snapshot.dealerID,
            snapshot.siteID,
            snapshot.deviceID,
            alarm?.value,
            snapshot.mediaType.rawValue,
            snapshot.size,
            snapshot.content.text,
            snapshot.takenAt,
            snapshot.createdAt
        )
    }
}

extension Snapshot {
    fileprivate static let select = """
        SELECT id, dealer_id, site_id, device_id, alarm, media_type, size, content, taken_at, created_at FROM snapshot
        """

    /// A partner's reach is that of its sites.
    fileprivate static func condition(_ reach: Reach) -> Condition {
        var condition = Condition()
        switch reach {
        case .platform: break
        case .dealer(let dealer): condition.add("dealer_id = ?", dealer)
        case .partner(let partner):
            condition.add(
                "EXISTS (SELECT 1 FROM site WHERE site.id = snapshot.site_id AND site.partner_id = ?)",
                partner
            )
        }
        return condition
    }

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            id: row.id(0),
            dealerID: row.id(1),
            siteID: row.id(2),
            deviceID: row.id(3),
            alarm: row.optional(4) { AlarmNumber(row.integer($0)) },
            mediaType: try row.word(5),
            size: row.int(6),
            content: try row.contentHash(7),
            takenAt: row.optional(8, row.instant),
            createdAt: row.instant(9)
        )
    }
}

extension ResultRow {
    fileprivate func contentHash(_ column: Int32) throws -> ContentHash {
        guard let hash = ContentHash(text(column)) else {
            throw LedgerDamage(description: "the ledger holds \"\(text(column))\" where a content's hash should be")
        }
        return hash
    }
}
