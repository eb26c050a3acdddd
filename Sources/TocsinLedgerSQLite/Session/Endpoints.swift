import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func endpoints(of owner: EndpointOwner) throws -> [Endpoint] {
        switch owner {
        case .app(let app, let dealer):
            try endpoints("WHERE app_id = ? AND dealer_id = ? ORDER BY id", [app, dealer])
        case .partner(let partner): try endpoints("WHERE partner_id = ? ORDER BY id", [partner])
        }
    }

    func endpoint(_ id: EndpointID, within reach: Reach) throws -> Endpoint? {
        var condition = Endpoint.condition(reach)
        condition.add("id = ?", id)
        return try endpoints(condition.sql, condition.values).first
    }

    func endpoint(suffix: String, within reach: Reach) throws -> Endpoint? {
        var condition = Endpoint.condition(reach)
        condition.add("suffix = ?", suffix)
        return try endpoints("\(condition.sql) ORDER BY id LIMIT 1", condition.values).first
    }

    func allEndpoints(after: EndpointID?, limit: Int) throws -> [Endpoint] {
        try endpoints("WHERE id > ? ORDER BY id LIMIT ?", [after?.text ?? "", limit])
    }

    func secrets(of endpoint: EndpointID) throws -> [EndpointSecret] {
        try database.all(
            """
            SELECT endpoint_id, sealed, created_at, expires_at, public_key FROM endpoint_secret WHERE endpoint_id = ?
                ORDER BY created_at, id
            """,
            [endpoint]
        ) { row in
            EndpointSecret(
                endpointID: row.id(0),
                sealed: row.bytes(1),
                createdAt: row.instant(2),
                expiresAt: row.optional(3, row.instant),
                publicKey: row.optional(4, row.text)
            )
        }
    }

    func cursors(of endpoint: EndpointID) throws -> [EventPosition] {
        try database.all(
            "SELECT dealer_id, sequence FROM endpoint_cursor WHERE endpoint_id = ? ORDER BY dealer_id",
            [endpoint]
        ) { EventPosition(dealerID: $0.id(0), sequence: $0.integer(1)) }
    }

    private func endpoints(_ condition: String, _ values: [any Bindable]) throws -> [Endpoint] {
        var found = try database.all("\(Endpoint.select) \(condition)", values) { try Endpoint($0) }
        for index in found.indices {
            let headers = try database.all(
                "SELECT name, sealed FROM endpoint_header WHERE endpoint_id = ?",
                [found[index].id]
            ) { ($0.text(0), $0.bytes(1)) }
            found[index].sealedHeaders = Dictionary(uniqueKeysWithValues: headers)
            if found[index].signature == .v1a { found[index].publicKeys = try publicKeys(of: found[index].id) }
        }
        return found
    }
}

extension SQLiteReading {
    private func publicKeys(of endpoint: EndpointID) throws -> [EndpointPublicKey] {
        try database.all(
            """
            SELECT public_key, expires_at FROM endpoint_secret WHERE endpoint_id = ? AND public_key IS NOT NULL
                ORDER BY created_at DESC, id DESC
            """,
            [endpoint]
        ) { EndpointPublicKey(text: $0.text(0), expiresAt: $0.optional(1, $0.instant)) }
    }
}

extension SQLiteTransaction {
    func insert(_ endpoint: Endpoint, secret: EndpointSecret) throws {
        try database.run(
            """
            INSERT INTO endpoint (app_id, dealer_id, partner_id, url, events, ordering, concurrency, rate_per_second,
                retry_schedule, is_enabled, disabled_reason, failing_since, signature, certificate_sealed,
                certificate_fingerprint, certificate_expires_at, id, suffix, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            endpoint.values + [endpoint.id, String(endpoint.id.body.suffix(16)), endpoint.createdAt]
        )
        try insertHeaders(of: endpoint)
        try insert(secret)
        try startCursors(of: endpoint)
    }

    func update(_ endpoint: Endpoint) throws {
        try database.run(
            """
            UPDATE endpoint SET app_id = ?, dealer_id = ?, partner_id = ?, url = ?, events = ?, ordering = ?,
                concurrency = ?, rate_per_second = ?, retry_schedule = ?, is_enabled = ?, disabled_reason = ?,
                failing_since = ?, signature = ?, certificate_sealed = ?, certificate_fingerprint = ?,
                certificate_expires_at = ? WHERE id = ?
            """,
            endpoint.values + [endpoint.id]
        )
        try database.run("DELETE FROM endpoint_header WHERE endpoint_id = ?", [endpoint.id])
        try insertHeaders(of: endpoint)
    }

    func deleteEndpoint(_ id: EndpointID) throws {
        try Remains(database).leaveEndpoints("id = ?", id)
        try database.run("DELETE FROM endpoint WHERE id = ?", [id])
    }

    func insert(_ secret: EndpointSecret) throws {
        try database.run(
            """
            INSERT INTO endpoint_secret (endpoint_id, sealed, created_at, expires_at, public_key)
                VALUES (?, ?, ?, ?, ?)
            """,
            [secret.endpointID, secret.sealed, secret.createdAt, secret.expiresAt, secret.publicKey]
        )
    }

    func expireSecrets(of endpoint: EndpointID, madeBefore instant: Instant, at expiry: Instant) throws {
        try database.run(
            """
            UPDATE endpoint_secret SET expires_at = ?1
                WHERE endpoint_id = ?2 AND created_at < ?3 AND (expires_at IS NULL OR expires_at > ?1)
            """,
            [expiry, endpoint, instant]
        )
    }

    func setCursor(_ cursor: EndpointCursor) throws {
        try database.run(
            """
            INSERT INTO endpoint_cursor (endpoint_id, dealer_id, sequence) VALUES (?, ?, ?)
                ON CONFLICT (endpoint_id, dealer_id) DO UPDATE SET sequence = excluded.sequence
            """,
            [cursor.endpointID, cursor.position.dealerID, cursor.position.sequence]
        )
    }

    func withdrawDeliveries(of endpoint: EndpointID, at instant: Instant) throws -> Int {
        try database.run(
            """
            UPDATE exceptional_delivery SET state = 'withdrawn', next_attempt_at = NULL, updated_at = ?
                WHERE endpoint_id = ? AND state IN ('retrying', 'waiting', 'parked')
            """,
            [instant, endpoint]
        )
    }

    func forgetDeliveries(of endpoint: EndpointID, after place: EventPosition) throws {
        try database.run(
            "DELETE FROM exceptional_delivery WHERE endpoint_id = ? AND dealer_id = ? AND sequence > ?",
            [endpoint, place.dealerID, place.sequence]
        )
        // The log of attempts keeps what happened; from here on it no longer says that these events are delivered.
        let last = try database.number("SELECT coalesce(max(id), 0) FROM delivery_attempt")
        try setFact(EndpointFact.forgottenAttempts(of: endpoint), to: Array(String(last).utf8))
    }

    private func insertHeaders(of endpoint: Endpoint) throws {
        for (name, sealed) in endpoint.sealedHeaders {
            try database.run(
                "INSERT INTO endpoint_header (endpoint_id, name, sealed) VALUES (?, ?, ?)",
                [endpoint.id, name, sealed]
            )
        }
    }

    /// A subscription holds from the sequence at which it was made (design, delivery: promise).
    private func startCursors(of endpoint: Endpoint) throws {
        switch endpoint.owner {
        case .app(_, let dealer):
            try database.run(
                """
                INSERT INTO endpoint_cursor (endpoint_id, dealer_id, sequence)
                    SELECT ?, id, last_sequence FROM dealer WHERE id = ?
                """,
                [endpoint.id, dealer]
            )
        case .partner(let partner):
            try database.run(
                """
                INSERT INTO endpoint_cursor (endpoint_id, dealer_id, sequence)
                    SELECT ?1, id, last_sequence FROM dealer WHERE id IN (
                        SELECT dealer_id FROM dealer_partner WHERE partner_id = ?2
                        UNION SELECT dealer_id FROM site WHERE partner_id = ?2
                    )
                """,
                [endpoint.id, partner]
            )
        }
    }

    /// Lets the partner's endpoints follow the dealer's log from its present end, unless they follow it already.
    func startCursors(of partner: PartnerID, in dealer: DealerID) throws {
        try database.run(
            """
            INSERT OR IGNORE INTO endpoint_cursor (endpoint_id, dealer_id, sequence)
                SELECT endpoint.id, dealer.id, dealer.last_sequence FROM endpoint JOIN dealer ON dealer.id = ?
                WHERE endpoint.partner_id = ?
            """,
            [dealer, partner]
        )
    }
}

extension Endpoint {
    fileprivate static let select = """
        SELECT id, app_id, dealer_id, partner_id, url, events, ordering, concurrency, rate_per_second, retry_schedule,
            is_enabled, disabled_reason, failing_since, created_at, signature, certificate_sealed,
            certificate_fingerprint, certificate_expires_at FROM endpoint
        """

    fileprivate init(_ row: ResultRow) throws {
        let owner: EndpointOwner =
            row.isNull(3) ? .app(row.id(1), of: row.id(2)) : .partner(row.id(3))
        self.init(
            id: row.id(0),
            owner: owner,
            url: row.text(4),
            events: Set(WordList.words(row.text(5)).compactMap(EventType.init)),
            ordering: try row.word(6),
            concurrency: row.int(7),
            ratePerSecond: row.optional(8, row.int),
            retrySchedule: row.optional(9, row.text).map { WordList.words($0).compactMap(Int.init) },
            isEnabled: row.bool(10),
            disabledReason: row.optional(11, row.text),
            failingSince: row.optional(12, row.instant),
            createdAt: row.instant(13)
        )
        signature = try row.word(14)
        if !row.isNull(15) {
            clientCertificate = ClientCertificate(
                sealed: row.bytes(15),
                fingerprint: row.text(16),
                expiresAt: row.instant(17)
            )
        }
    }

    fileprivate var values: [any Bindable] {
        let owners: [any Bindable]
        switch owner {
        case .app(let app, let dealer): owners = [app, dealer, String?.none]
        case .partner(let partner): owners = [String?.none, String?.none, partner]
        }
        return owners + [
            url, WordList.text(events.map(\.rawValue)), ordering.rawValue, concurrency, ratePerSecond,
            // Its order counts, so it is not sorted as other lists are.
            retrySchedule.map { $0.map(String.init).joined(separator: ",") }, isEnabled, disabledReason, failingSince,
            signature.rawValue, clientCertificate?.sealed, clientCertificate?.fingerprint, clientCertificate?.expiresAt,
        ]
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

/// What the ledger remembers of an endpoint beside its tables.
enum EndpointFact {
    /// The last attempt that was made before the endpoint's deliveries were to be made anew.
    static func forgottenAttempts(of endpoint: EndpointID) -> String { "endpoint.forgotten_attempts.\(endpoint.text)" }
}
