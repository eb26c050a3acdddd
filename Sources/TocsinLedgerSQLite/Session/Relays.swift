import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func dueRelayCommands(by instant: Instant, limit: Int) throws -> [DueRelayCommand] {
        let commands = try database.all(
            """
            \(RelayCommand.select) WHERE next_attempt_at IS NOT NULL AND next_attempt_at <= ?
                ORDER BY next_attempt_at, position LIMIT ?
            """,
            [instant, limit],
            read: RelayCommand.init
        )
        return try commands.map { command in
            let fixture = try fixture(command.relayID.text, kind: .relay, within: .platform)
            return DueRelayCommand(command: command, relay: fixture.flatMap { try? Relay($0) })
        }
    }

    func nextRelayCommandDue(after instant: Instant) throws -> Instant? {
        try database.first(
            "SELECT next_attempt_at FROM relay_command WHERE next_attempt_at > ? ORDER BY next_attempt_at LIMIT 1",
            [instant]
        ) { $0.instant(0) }
    }

    func lastCommand(of relay: RelayID, within reach: Reach) throws -> RelayCommand? {
        let found = try database.first(
            "\(RelayCommand.select) WHERE relay_id = ? ORDER BY position DESC LIMIT 1",
            [relay],
            read: RelayCommand.init
        )
        guard let found, try site(found.siteID, within: reach) != nil else { return nil }
        return found
    }

    func awaitsSwitchingOff(_ relay: RelayID) throws -> Bool {
        try database.exists(
            "SELECT 1 FROM relay_command WHERE relay_id = ? AND next_attempt_at IS NOT NULL AND until IS NULL",
            [relay]
        )
    }

    func alarmNumber(of incident: IncidentID, at site: SiteID) throws -> AlarmNumber? {
        try database.first(
            "SELECT number FROM alarm WHERE site_id = ? AND incident = ? ORDER BY number DESC LIMIT 1",
            [site, incident.value]
        ) { AlarmNumber($0.integer(0)) }
    }
}

extension SQLiteTransaction {
    func record(_ outcome: RelayCommandOutcome) throws {
        // What was superseded while it was on its way is delivered all the same, if it was.
        try database.run(
            """
            UPDATE relay_command SET state = ?1, attempts = ?2, next_attempt_at = ?3, last_error = ?4
                WHERE id = ?5 AND (state = 'waiting' OR ?1 = 'sent')
            """,
            [
                outcome.state.rawValue, outcome.attempts, outcome.nextAttemptAt, outcome.error, outcome.id,
            ]
        )
    }
}

extension RelayCommand {
    /// Stores the command in place of one of the same relay that was not delivered; one of a relay that is gone is dropped.
    func store(_ database: Database) throws {
        try PreparedStatement(
            database,
            """
            UPDATE relay_command SET state = 'superseded', next_attempt_at = NULL
                WHERE relay_id = ? AND next_attempt_at IS NOT NULL
            """
        ).run(relayID)
        let (until, seconds): (Instant?, Int?) =
            switch order {
            case .on(let until, let seconds): (until, seconds)
            case .off: (nil, nil)
            }
        try PreparedStatement(
            database,
            """
            INSERT INTO relay_command (id, relay_id, device_id, site_id, dealer_id, until, duration_seconds, created_at,
                state, attempts, next_attempt_at, last_error)
                SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
                    WHERE EXISTS (SELECT 1 FROM fixture WHERE id = ?2)
            """
        ).run(
            id,
            relayID,
            deviceID,
            siteID,
            dealerID,
            until,
            seconds,
            createdAt,
            state.rawValue,
            attempts,
            nextAttemptAt,
            lastError
        )
    }

    fileprivate static let select = """
        SELECT id, relay_id, device_id, site_id, dealer_id, until, duration_seconds, created_at, state, attempts,
            next_attempt_at, last_error FROM relay_command
        """

    fileprivate init(_ row: ResultRow) throws {
        let until = row.optional(5, row.instant)
        self.init(
            id: row.id(0),
            relayID: row.id(1),
            deviceID: row.optional(2, row.id),
            siteID: row.id(3),
            dealerID: row.id(4),
            order: until.map { .on(until: $0, seconds: row.int(6)) } ?? .off,
            createdAt: row.instant(7),
            state: try row.word(8),
            attempts: row.int(9),
            nextAttemptAt: row.optional(10, row.instant),
            lastError: row.optional(11, row.text)
        )
    }
}
