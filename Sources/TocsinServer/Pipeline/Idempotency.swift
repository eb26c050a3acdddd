import HTTPTypes
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinLedger

/// A request that wants to have its effect once, and the means to store and repeat its reply (decisions §1).
package struct IdempotencyClaim: Sendable {
    /// Longer keys are refused (decisions §1).
    package static let keyLengthMax = 255

    /// Whose request it is, what it asks, and a hash of its bytes.
    package let ticket: IdempotencyTicket
    private let vault: Vault

    init(caller: Caller, method: String, path: String, key: String, query: Substring, payload: [UInt8], vault: Vault) {
        self.vault = vault
        ticket = IdempotencyTicket(
            caller: caller.key,
            method: method,
            path: path,
            key: key,
            payloadHash: vault.keyedHash(Array(query.utf8) + [0] + payload + caller.sight, context: "idempotency")
        )
    }

    /// The claim for a body that was read after it was made.
    func covering(_ bodyHash: String, of caller: Caller) -> IdempotencyClaim {
        let bytes = ticket.payloadHash + bodyHash.utf8 + caller.sight
        return IdempotencyClaim(self, payloadHash: vault.keyedHash(bytes, context: "idempotency"))
    }

    private init(_ claim: IdempotencyClaim, payloadHash: [UInt8]) {
        var ticket = claim.ticket
        ticket.payloadHash = payloadHash
        self.ticket = ticket
        vault = claim.vault
    }

    /// The record to store in the change's own transaction.
    func record(of reply: Reply, at instant: Instant) throws(VaultError) -> IdempotencyRecord {
        let bytes = if case .bytes(let bytes, _) = reply.body { bytes } else { [UInt8]() }
        return try ticket.record(status: reply.status.code, reply: bytes, at: instant, vault: vault)
    }

    /// The stored reply again, or 409 if it was given to another payload, or to a caller who saw more or less.
    package func replay(_ record: IdempotencyRecord) throws -> Reply {
        guard record.payloadHash == ticket.payloadHash else {
            throw APIError(
                .idempotencyConflict,
                """
                This Idempotency-Key was used with another payload, or before your scopes changed. Use a new key for a new \
                request.
                """
            )
        }
        let body = try vault.open(record.sealedReply, context: ticket.sealingContext)
        var reply = Reply(.init(code: record.status))
        if !body.isEmpty { reply.body = .bytes(body, contentType: Reply.jsonType) }
        reply.headers[.idempotencyReplayed] = "true"
        return reply.uncached
    }
}

extension Caller {
    /// What of a reply depends on the caller's scopes, as bytes that no body ends with: whoever may see less than before
    /// must not get the earlier reply (decisions §1: authorised again before a replay).
    fileprivate var sight: [UInt8] { seesAlarms ? [] : [0, 0xFF] }
}

/// Requests with a key that are being worked on in this process.
final class IdempotencyRegistry: Sendable {
    private let running = Mutex<Set<String>>([])

    /// Throws 409 while the first request with this name still runs.
    func begin(_ claim: IdempotencyClaim) throws(APIError) {
        guard running.withLock({ $0.insert(claim.ticket.sealingContext).inserted }) else {
            throw APIError(
                .idempotencyInProgress,
                "A request with this Idempotency-Key is still being worked on. Send it again when that has ended.",
                headers: [.retryAfter: "1"]
            )
        }
    }

    func end(_ claim: IdempotencyClaim) { running.withLock { _ = $0.remove(claim.ticket.sealingContext) } }
}
