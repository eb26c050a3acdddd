import GRDB

/// The first tables.
///
/// Ids are text, times are milliseconds since 1970. Log-like tables (event, audit, alarm) have no foreign keys: they
/// outlive what they speak of, and are written thousands of times a second.
enum Migration0001 {
    static func migrate(_ database: Database) throws {
        for statement in tenants + sites + apps + log + deliveries + housekeeping {
            try database.execute(sql: statement)
        }
    }

    private static let tenants = [
        """
        CREATE TABLE dealer (
            id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            last_sequence INTEGER NOT NULL DEFAULT 0,
            last_alarm INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE UNIQUE INDEX dealer_name ON dealer (name)",
        """
        CREATE TABLE partner (
            id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            arming_model TEXT NOT NULL,
            client_id TEXT NOT NULL,
            client_secret_hash TEXT NOT NULL,
            jwks TEXT,
            is_revoked INTEGER NOT NULL,
            tier TEXT NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX partner_name ON partner (name)",
        "CREATE UNIQUE INDEX partner_client ON partner (client_id)",
        """
        CREATE TABLE dealer_partner (
            dealer_id TEXT NOT NULL REFERENCES dealer (id) ON DELETE CASCADE,
            partner_id TEXT NOT NULL REFERENCES partner (id) ON DELETE CASCADE,
            PRIMARY KEY (dealer_id, partner_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX dealer_partner_partner ON dealer_partner (partner_id)",
        """
        CREATE TABLE admin_token (
            id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL,
            hash TEXT NOT NULL,
            dealer_id TEXT REFERENCES dealer (id) ON DELETE CASCADE,
            is_revoked INTEGER NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX admin_token_hash ON admin_token (hash)",
        "CREATE INDEX admin_token_dealer ON admin_token (dealer_id)",
        """
        CREATE TABLE scorecard (
            partner_id TEXT NOT NULL REFERENCES partner (id) ON DELETE CASCADE,
            mark TEXT NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (partner_id, mark)
        ) STRICT, WITHOUT ROWID
        """,
    ]

    private static let sites = [
        """
        CREATE TABLE site (
            id TEXT PRIMARY KEY NOT NULL,
            dealer_id TEXT NOT NULL REFERENCES dealer (id) ON DELETE CASCADE,
            partner_id TEXT REFERENCES partner (id) ON DELETE CASCADE,
            external_id TEXT,
            name TEXT NOT NULL,
            timezone TEXT NOT NULL,
            address TEXT,
            test_mode INTEGER NOT NULL,
            arming_model TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            version INTEGER NOT NULL,
            next_due INTEGER,
            state BLOB NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX site_name ON site (dealer_id, name)",
        "CREATE UNIQUE INDEX site_partner_external ON site (partner_id, external_id) WHERE partner_id IS NOT NULL",
        "CREATE UNIQUE INDEX site_dealer_external ON site (dealer_id, external_id) WHERE partner_id IS NULL",
        "CREATE INDEX site_dealer ON site (dealer_id, id)",
        "CREATE INDEX site_partner ON site (partner_id, id) WHERE partner_id IS NOT NULL",
        "CREATE INDEX site_external ON site (external_id, id) WHERE external_id IS NOT NULL",
        "CREATE INDEX site_due ON site (next_due, id) WHERE next_due IS NOT NULL",
        """
        CREATE TABLE partition (
            site_id TEXT NOT NULL REFERENCES site (id) ON DELETE CASCADE,
            id TEXT NOT NULL,
            number INTEGER NOT NULL,
            name TEXT NOT NULL,
            exit_delay_away INTEGER NOT NULL,
            exit_delay_stay INTEGER NOT NULL,
            exit_delay_night INTEGER NOT NULL,
            exit_delay_custom INTEGER NOT NULL,
            entry_delay INTEGER NOT NULL,
            PRIMARY KEY (site_id, id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE UNIQUE INDEX partition_number ON partition (site_id, number)",
        """
        CREATE TABLE fixture (
            id TEXT PRIMARY KEY NOT NULL,
            site_id TEXT NOT NULL REFERENCES site (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            number INTEGER,
            name TEXT NOT NULL,
            settings BLOB NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX fixture_number ON fixture (site_id, kind, number) WHERE number IS NOT NULL",
        "CREATE UNIQUE INDEX fixture_name ON fixture (site_id, kind, name)",
    ]

    private static let apps = [
        """
        CREATE TABLE app (
            id TEXT PRIMARY KEY NOT NULL,
            dealer_id TEXT NOT NULL REFERENCES dealer (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            scopes TEXT NOT NULL,
            ip_allow_list TEXT NOT NULL,
            is_revoked INTEGER NOT NULL,
            tier TEXT NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX app_name ON app (dealer_id, name)",
        "CREATE INDEX app_dealer ON app (dealer_id, id)",
        """
        CREATE TABLE app_key (
            hash TEXT PRIMARY KEY NOT NULL,
            app_id TEXT NOT NULL REFERENCES app (id) ON DELETE CASCADE,
            expires_at INTEGER
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX app_key_app ON app_key (app_id)",
        """
        CREATE TABLE endpoint (
            id TEXT PRIMARY KEY NOT NULL,
            -- The last 16 characters of the id: what the id of a delivery ends with.
            suffix TEXT NOT NULL,
            app_id TEXT REFERENCES app (id) ON DELETE CASCADE,
            dealer_id TEXT,
            partner_id TEXT REFERENCES partner (id) ON DELETE CASCADE,
            url TEXT NOT NULL,
            events TEXT NOT NULL,
            ordering TEXT NOT NULL,
            concurrency INTEGER NOT NULL,
            rate_per_second INTEGER,
            retry_schedule TEXT,
            is_enabled INTEGER NOT NULL,
            disabled_reason TEXT,
            failing_since INTEGER,
            created_at INTEGER NOT NULL,
            CHECK ((app_id IS NULL) = (dealer_id IS NULL)),
            CHECK ((app_id IS NULL) <> (partner_id IS NULL))
        ) STRICT
        """,
        "CREATE INDEX endpoint_suffix ON endpoint (suffix)",
        "CREATE INDEX endpoint_app ON endpoint (app_id, id) WHERE app_id IS NOT NULL",
        "CREATE INDEX endpoint_dealer ON endpoint (dealer_id, id) WHERE dealer_id IS NOT NULL",
        "CREATE INDEX endpoint_partner ON endpoint (partner_id, id) WHERE partner_id IS NOT NULL",
        """
        CREATE TABLE endpoint_header (
            endpoint_id TEXT NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            sealed BLOB NOT NULL,
            PRIMARY KEY (endpoint_id, name)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE endpoint_secret (
            id INTEGER PRIMARY KEY NOT NULL,
            endpoint_id TEXT NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
            sealed BLOB NOT NULL,
            created_at INTEGER NOT NULL,
            expires_at INTEGER
        ) STRICT
        """,
        "CREATE INDEX endpoint_secret_endpoint ON endpoint_secret (endpoint_id)",
        """
        CREATE TABLE endpoint_cursor (
            endpoint_id TEXT NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
            dealer_id TEXT NOT NULL REFERENCES dealer (id) ON DELETE CASCADE,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (endpoint_id, dealer_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX endpoint_cursor_dealer ON endpoint_cursor (dealer_id)",
    ]

    private static let log = [
        """
        -- With a row id: the log is written at its end and found by index (measured: a tenth faster than WITHOUT ROWID).
        CREATE TABLE event (
            dealer_id TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            id TEXT NOT NULL,
            type TEXT NOT NULL,
            site_id TEXT,
            partner_id TEXT,
            audience TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            body BLOB NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX event_position ON event (dealer_id, sequence)",
        "CREATE UNIQUE INDEX event_id ON event (id)",
        // No index by site, here and below: sites report in any order, so it would cost a page for each event (measured:
        // a third of the throughput); a site is looked for in its dealer's log.
        """
        CREATE TABLE consumer (
            dealer_id TEXT NOT NULL REFERENCES dealer (id) ON DELETE CASCADE,
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (dealer_id, owner, name)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE alarm (
            dealer_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            site_id TEXT NOT NULL,
            partition_id TEXT,
            class TEXT NOT NULL,
            state TEXT NOT NULL,
            priority TEXT NOT NULL,
            "trigger" TEXT NOT NULL,
            location TEXT,
            created_at INTEGER NOT NULL,
            PRIMARY KEY (dealer_id, number)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX alarm_site ON alarm (site_id)",
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY NOT NULL,
            at INTEGER NOT NULL,
            dealer_id TEXT,
            site_id TEXT,
            actor_kind TEXT NOT NULL,
            actor_id TEXT NOT NULL,
            action TEXT NOT NULL,
            target TEXT,
            result TEXT NOT NULL,
            explanation TEXT NOT NULL,
            cause TEXT NOT NULL,
            request_id TEXT,
            trace_id TEXT,
            address TEXT,
            details BLOB
        ) STRICT
        """,
        "CREATE INDEX audit_dealer ON audit (dealer_id, id)",
    ]

    private static let deliveries = [
        """
        CREATE TABLE exceptional_delivery (
            endpoint_id TEXT NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
            dealer_id TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            event_id TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            next_attempt_at INTEGER,
            event_created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (endpoint_id, dealer_id, sequence)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE INDEX exceptional_delivery_due ON exceptional_delivery (endpoint_id, next_attempt_at, dealer_id, sequence)
            WHERE next_attempt_at IS NOT NULL
        """,
        "CREATE INDEX exceptional_delivery_event ON exceptional_delivery (endpoint_id, event_id)",
        "CREATE INDEX exceptional_delivery_state ON exceptional_delivery (endpoint_id, state, event_id)",
        """
        CREATE INDEX exceptional_delivery_pending ON exceptional_delivery (dealer_id, sequence)
            WHERE state IN ('retrying', 'waiting')
        """,
        """
        CREATE INDEX exceptional_delivery_settled ON exceptional_delivery (updated_at)
            WHERE state IN ('delivered', 'dead', 'withdrawn')
        """,
        """
        CREATE TABLE delivery_attempt (
            id INTEGER PRIMARY KEY NOT NULL,
            endpoint_id TEXT NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
            dealer_id TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            event_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            -- The first attempt succeeded: such a delivery has no other row.
            is_plain INTEGER NOT NULL,
            at INTEGER NOT NULL,
            succeeded INTEGER NOT NULL,
            status INTEGER,
            failure TEXT,
            failure_message TEXT,
            address TEXT,
            dns_us INTEGER,
            connect_us INTEGER,
            tls_us INTEGER,
            first_byte_us INTEGER,
            total_us INTEGER NOT NULL,
            request_headers TEXT NOT NULL,
            response_body BLOB NOT NULL
        ) STRICT
        """,
        "CREATE INDEX delivery_attempt_event ON delivery_attempt (endpoint_id, is_plain, event_id)",
    ]

    private static let housekeeping = [
        """
        CREATE TABLE known_report (
            site_id TEXT NOT NULL,
            report_id TEXT NOT NULL,
            seen_at INTEGER NOT NULL,
            PRIMARY KEY (site_id, report_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX known_report_seen ON known_report (seen_at)",
        """
        CREATE TABLE idempotency_record (
            caller TEXT NOT NULL,
            method TEXT NOT NULL,
            path TEXT NOT NULL,
            key TEXT NOT NULL,
            payload_hash BLOB NOT NULL,
            status INTEGER NOT NULL,
            sealed_reply BLOB NOT NULL,
            created_at INTEGER NOT NULL,
            PRIMARY KEY (caller, method, path, key)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX idempotency_record_created ON idempotency_record (created_at)",
        """
        CREATE TABLE client_assertion (
            client_id TEXT NOT NULL,
            id TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            PRIMARY KEY (client_id, id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX client_assertion_expiry ON client_assertion (expires_at)",
        """
        CREATE TABLE fact (
            name TEXT PRIMARY KEY NOT NULL,
            value BLOB NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ]
}
