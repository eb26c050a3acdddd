import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func idempotencyRecord(
        caller: String,
        method: String,
        path: String,
        key: String
    ) throws -> IdempotencyRecord? {
        try IdempotencyRecord.find(caller, method, path, key, database)
    }

    func fact(_ name: String) throws -> [UInt8]? {
        try database.first("SELECT value FROM fact WHERE name = ?", [name]) { $0.bytes(0) }
    }

    func schemaVersion() throws -> Int { try Schema.version(database) }

    func counts() throws -> [String: Int64] {
        let tables = [
            "dealer", "partner", "site", "partition", "fixture", "app", "endpoint", "alarm", "alarm_entry",
            "audit", "exceptional_delivery", "delivery_attempt", "delivery_task", "admin_token", "notice", "snapshot",
            "remains",
        ]
        var counts: [String: Int64] = [:]
        for table in tables { counts[table] = try database.number("SELECT count(*) FROM \(table)") }
        counts["event"] = try database.number("SELECT total(events) FROM event_batch")
        return counts
    }

    func hasRemains() throws -> Bool { try database.exists("SELECT 1 FROM remains ORDER BY id LIMIT 1", []) }

    func verify() throws -> [String] { try Verification(database).findings() }
}

extension SQLiteTransaction {
    func insert(_ record: IdempotencyRecord) throws {
        if try IdempotencyRecord.stored(like: record, database) != nil {
            throw LedgerError(.duplicate, "this key is taken already", subject: "key")
        }
        try record.store(database)
    }

    func setFact(_ name: String, to value: [UInt8]) throws {
        try database.run("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", [name, value])
    }

    func useAssertion(_ id: String, of clientID: String, expiresAt: Instant, now: Instant) throws -> Bool {
        let isUsed = try database.exists(
            "SELECT 1 FROM client_assertion WHERE client_id = ? AND id = ? AND expires_at > ?",
            [clientID, id, now]
        )
        if isUsed { return false }
        try database.run(
            "INSERT OR REPLACE INTO client_assertion (client_id, id, expires_at) VALUES (?, ?, ?)",
            [clientID, id, expiresAt]
        )
        return true
    }

    func purge(now: Instant, limit: Int) throws -> [String: Int] {
        try Purge(database, now: now, limit: limit).run()
    }

    func clearRemains(limit: Int) throws -> Int { try Remains(database).clear(limit: limit) }
}
