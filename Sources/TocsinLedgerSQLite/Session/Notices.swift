import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func dueNotices(by instant: Instant, limit: Int) throws -> [Notice] {
        try database.all(
            "\(Notice.select) WHERE next_attempt_at IS NOT NULL AND next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?",
            [instant, limit],
            read: Notice.init
        )
    }

    func nextNoticeDue() throws -> Instant? {
        try database.first(
            """
            SELECT next_attempt_at FROM notice WHERE next_attempt_at IS NOT NULL ORDER BY next_attempt_at LIMIT 1
            """
        ) { $0.instant(0) }
    }

    func notices(of site: SiteID, within reach: Reach, limit: Int) throws -> [Notice] {
        guard try self.site(site, within: reach) != nil else { return [] }
        return try database.all(
            "\(Notice.select) WHERE fixture.site_id = ? ORDER BY notice.id, person_id LIMIT ?",
            [site, limit],
            read: Notice.init
        )
    }
}

extension SQLiteTransaction {
    func record(_ outcome: NoticeOutcome) throws {
        try database.run(
            """
            UPDATE notice SET state = ?, attempts = ?, next_attempt_at = ?, last_error = ?
                WHERE id = ? AND person_id = ?
            """,
            [
                outcome.state.rawValue, outcome.attempts, outcome.nextAttemptAt, outcome.error, outcome.id,
                outcome.personID,
            ]
        )
    }
}

extension IssuedNotice {
    /// Stores the notice once for each address among the site's people, as waiting to be sent at once.
    ///
    /// Who has the same address as another gets one message, not two.
    func store(for decision: Decision, _ database: Database) throws {
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO notice (id, person_id, dealer_id, site_id, partition_id, kind, subject, text, created_at, state,
                attempts, next_attempt_at)
                SELECT ?1, min(id), ?2, site_id, ?4, ?5, ?6, ?7, ?8, 'waiting', 0, ?8 FROM fixture
                    INDEXED BY fixture_email
                    WHERE site_id = ?3 AND CAST(settings AS TEXT) ->> '$.email' IS NOT NULL
                        AND kind IN ('user', 'contact')
                    GROUP BY lower(CAST(settings AS TEXT) ->> '$.email') ORDER BY min(id) LIMIT ?9
            """
        )
        try insertion.run(
            id,
            decision.dealerID,
            decision.siteID,
            draft.partitionID,
            draft.kind.rawValue,
            draft.subject,
            draft.text,
            decision.at,
            Notice.recipientsMaximum
        )
    }
}

extension Notice {
    fileprivate static let select = """
        SELECT notice.id, person_id, CAST(fixture.settings AS TEXT) ->> '$.email', notice.dealer_id, notice.site_id,
            notice.kind, subject, text, notice.created_at, state, attempts, next_attempt_at, last_error
            FROM notice JOIN fixture ON fixture.id = person_id
        """

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            id: row.id(0),
            personID: row.text(1),
            address: row.optional(2, row.text),
            dealerID: row.id(3),
            siteID: row.id(4),
            kind: try row.word(5),
            subject: row.text(6),
            text: row.text(7),
            createdAt: row.instant(8),
            state: try row.word(9),
            attempts: row.int(10),
            nextAttemptAt: row.optional(11, row.instant),
            lastError: row.optional(12, row.text)
        )
    }
}
