import GRDB

/// Asymmetric signatures and client certificates of endpoints.
enum Migration0013 {
    static func migrate(_ database: Database) throws {
        for statement in statements { try database.execute(sql: statement) }
    }

    private static let statements = [
        "ALTER TABLE endpoint ADD COLUMN signature TEXT NOT NULL DEFAULT 'v1'",
        // The three of a client certificate are there together or not at all.
        "ALTER TABLE endpoint ADD COLUMN certificate_sealed BLOB",
        "ALTER TABLE endpoint ADD COLUMN certificate_fingerprint TEXT",
        "ALTER TABLE endpoint ADD COLUMN certificate_expires_at INTEGER",
        // Not null where the sealed secret is a private key.
        "ALTER TABLE endpoint_secret ADD COLUMN public_key TEXT",
    ]
}
