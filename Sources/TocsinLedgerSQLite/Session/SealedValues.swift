import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

extension SQLiteTransaction {
    /// Rows that are read at a time: stored replies may be many, and none of them is small.
    private static let pageRows = 500

    func reseal(_ reseal: (SealedPlace, [UInt8]) throws -> [UInt8]) throws -> Int {
        try resealSecrets(reseal) + resealHeaders(reseal) + resealCertificates(reseal) + resealReplies(reseal)
            + resealRelays(reseal)
    }

    private typealias Reseal = (SealedPlace, [UInt8]) throws -> [UInt8]

    private func resealSecrets(_ reseal: Reseal) throws -> Int {
        let rows = try database.all("SELECT id, endpoint_id, sealed FROM endpoint_secret") { row in
            (key: row.integer(0), place: SealedPlace.endpointSecret(row.id(1)), sealed: row.bytes(2))
        }
        for row in rows {
            try database.run(
                "UPDATE endpoint_secret SET sealed = ? WHERE id = ?",
                [try reseal(row.place, row.sealed), row.key]
            )
        }
        return rows.count
    }

    private func resealHeaders(_ reseal: Reseal) throws -> Int {
        let rows = try database.all("SELECT endpoint_id, name, sealed FROM endpoint_header") { row in
            (endpoint: row.id(0) as EndpointID, name: row.text(1), sealed: row.bytes(2))
        }
        for row in rows {
            try database.run(
                "UPDATE endpoint_header SET sealed = ? WHERE endpoint_id = ? AND name = ?",
                [try reseal(.endpointHeader(row.endpoint, name: row.name), row.sealed), row.endpoint, row.name]
            )
        }
        return rows.count
    }

    private func resealCertificates(_ reseal: Reseal) throws -> Int {
        let sql = "SELECT id, certificate_sealed FROM endpoint WHERE certificate_sealed IS NOT NULL"
        let rows = try database.all(sql) { (endpoint: $0.id(0) as EndpointID, sealed: $0.bytes(1)) }
        for row in rows {
            try database.run(
                "UPDATE endpoint SET certificate_sealed = ? WHERE id = ?",
                [try reseal(.endpointCertificate(row.endpoint), row.sealed), row.endpoint]
            )
        }
        return rows.count
    }

    private func resealReplies(_ reseal: Reseal) throws -> Int {
        var count = 0
        var last = IdempotencyTicketName(caller: "", method: "", path: "", key: "")
        while true {
            let rows = try database.all(
                """
                SELECT caller, method, path, key, sealed_reply FROM idempotency_record
                    WHERE (caller, method, path, key) > (?, ?, ?, ?) ORDER BY caller, method, path, key LIMIT ?
                """,
                [last.caller, last.method, last.path, last.key, Self.pageRows]
            ) { row in
                let name = IdempotencyTicketName(
                    caller: row.text(0),
                    method: row.text(1),
                    path: row.text(2),
                    key: row.text(3)
                )
                return (name: name, sealed: row.bytes(4))
            }
            for (name, sealed) in rows {
                try database.run(
                    """
                    UPDATE idempotency_record SET sealed_reply = ?
                        WHERE caller = ? AND method = ? AND path = ? AND key = ?
                    """,
                    [try reseal(.storedReply(name), sealed), name.caller, name.method, name.path, name.key]
                )
            }
            count += rows.count
            guard rows.count == Self.pageRows, let end = rows.last else { return count }
            last = end.name
        }
    }

    /// A relay's version stays as it is: what it does is the same as before.
    private func resealRelays(_ reseal: Reseal) throws -> Int {
        let sql = "SELECT \(Fixture.columns) FROM fixture WHERE kind = ?"
        var count = 0
        for fixture in try database.all(sql, [FixtureKind.relay.rawValue], read: Fixture.init) {
            guard var relay = try? Relay(fixture), case .webhook(let url, let secret) = relay.actuator else { continue }
            let sealed = try reseal(.relaySecret(relay.id), Array(secret.utf8))
            relay.actuator = .webhook(url: url, sealedSecret: String(decoding: sealed, as: UTF8.self))
            try database.run(
                "UPDATE fixture SET settings = ? WHERE id = ?",
                [JSON.object(relay.settings).bytes, fixture.id]
            )
            count += 1
        }
        return count
    }
}
