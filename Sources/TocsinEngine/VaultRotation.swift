import Foundation
import TocsinCore
import TocsinLedger

/// Puts a new key in the place of the vault's: every sealed value of the ledger is sealed anew, in one transaction.
///
/// Users' codes are kept as keyed hashes, and nobody knows the codes: their hashing key stays, sealed with the new key.
package enum VaultRotation {
    /// The fact by which a wrong key is noticed before anything is sealed with it.
    package static let checkFact = "encryption_check"
    /// The fact that holds the hashing key, sealed, once the key that it came from has gone.
    package static let hashingFact = "hashing_key"
    /// Further facts that are sealed, each with its name as the context.
    package static let sealedFacts = [tokenSigningKey]
    package static let tokenSigningKey = "token_signing_key"

    /// The vault of a key and of what the ledger says of it.
    ///
    /// - Parameters:
    ///   - key: The encryption key.
    ///   - reader: Of the ledger.
    /// - Returns: Nil if it is not the ledger's key; a ledger that knows none takes any.
    /// - Throws: When the ledger cannot be read, or its hashing key does not open.
    package static func vault(of key: [UInt8], in reader: some LedgerReader) throws -> Vault? {
        let vault = Vault(key: key)
        guard let check = try reader.fact(checkFact) else { return vault }
        guard check == vault.checkValue else { return nil }
        guard let sealed = try reader.fact(hashingFact) else { return vault }
        return vault.hashing(with: try vault.open(sealed, context: hashingFact))
    }

    /// Seals everything with another key, and says how many values there were.
    ///
    /// - Parameters:
    ///   - transaction: Nothing counts before it is committed.
    ///   - old: The ledger's present vault.
    ///   - key: The new encryption key.
    ///   - instant: When it is done, for the audit log.
    /// - Returns: The number of values that were sealed anew.
    /// - Throws: ``VaultError`` if one does not open; the transaction must not be committed then.
    package static func run(
        in transaction: any LedgerTransaction,
        from old: Vault,
        to key: [UInt8],
        at instant: Instant
    ) throws -> Int {
        guard try transaction.fact(checkFact) == old.checkValue else {
            throw VaultError(reason: "the ledger's key is another one by now")
        }
        let new = Vault(key: key)
        var count = try transaction.reseal { place, sealed in
            if case .relaySecret(let relay) = place {
                let secret = try RelaySecret.opened(String(decoding: sealed, as: UTF8.self), of: relay, vault: old)
                return Array(try RelaySecret.sealed(secret, of: relay, vault: new).utf8)
            }
            let context = context(of: place)
            return try new.seal(try old.open(sealed, context: context), context: context)
        }
        for name in sealedFacts {
            guard let sealed = try transaction.fact(name) else { continue }
            try transaction.setFact(name, to: try new.seal(try old.open(sealed, context: name), context: name))
            count += 1
        }
        try transaction.setFact(hashingFact, to: try new.seal(old.hashingKey, context: hashingFact))
        try transaction.setFact(checkFact, to: new.checkValue)
        try transaction.append(
            AuditEntry(
                at: instant,
                dealerID: nil,
                actor: .init(.system, "tocsin admin"),
                action: "encryption_key.rotate",
                target: "ledger",
                explanation: "\(count) sealed values were sealed with a new key",
                cause: "request"
            )
        )
        return count
    }

    private static func context(of place: SealedPlace) -> String {
        switch place {
        case .endpointSecret(let endpoint): WebhookSecret.vaultContext(of: endpoint)
        case .endpointHeader(let endpoint, let name): WebhookSecret.vaultContext(ofHeader: name, of: endpoint)
        case .endpointCertificate(let endpoint): WebhookSecret.vaultContext(ofCertificateOf: endpoint)
        case .storedReply(let name): IdempotencyTicket.sealingContext(of: name)
        case .relaySecret(let relay): RelaySecret.vaultContext(of: relay)
        }
    }
}
