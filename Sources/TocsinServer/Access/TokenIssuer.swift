import Crypto
import Foundation
import JWTKit
import Synchronization
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// Signs partners' access tokens and checks them (decisions §2: ES256, one hour).
package final class TokenIssuer: Sendable {
    package static let lifetime: Duration = .seconds(3600)
    /// Verified tokens that are remembered; when they are reached all are dropped and verified again at need.
    static let capacity = 50_000
    static let factName = VaultRotation.tokenSigningKey

    struct Claims: JWTPayload {
        var iss: String
        var aud: String
        var sub: String
        var iat: Int64
        var exp: Int64
        var jti: String

        func verify(using _: some JWTAlgorithm) async throws {}
    }

    private struct Verified {
        var partner: PartnerID
        var expiresAt: Instant
    }

    let issuer: String
    let audience: String
    let tokenEndpoint: String
    private let key: P256.Signing.PrivateKey
    private let keyID: String
    private let keys: JWTKeyCollection
    private let verified = Mutex<[CredentialDigest: Verified]>([:])

    private init(key: P256.Signing.PrivateKey, publicURL: String) async throws {
        self.key = key
        issuer = publicURL
        audience = publicURL + "/v1"
        tokenEndpoint = publicURL + "/oauth/token"
        keyID = String(credentialHash(key.publicKey.rawRepresentation.base64EncodedString()).prefix(16))
        keys = await JWTKeyCollection().add(ecdsa: try ES256PrivateKey(backing: key), kid: JWKIdentifier(string: keyID))
    }

    /// Takes the ledger's signing key, which is made the first time and kept sealed.
    package static func load(ledger: any Ledger, vault: Vault, publicURL: String) async throws -> TokenIssuer {
        let fresh = P256.Signing.PrivateKey()
        let sealed = try vault.seal(fresh.rawRepresentation, context: factName)
        let stored = try await ledger.write { transaction in
            if let stored = try transaction.fact(factName) { return stored }
            try transaction.setFact(factName, to: sealed)
            return sealed
        }
        let key = try P256.Signing.PrivateKey(rawRepresentation: vault.open(stored, context: factName))
        return try await TokenIssuer(key: key, publicURL: publicURL)
    }

    /// A token for the partner, good from now.
    package func token(for partner: PartnerID, id: String, now: Instant) async throws -> String {
        let claims = Claims(
            iss: issuer,
            aud: audience,
            sub: partner.text,
            iat: now.secondsSinceEpoch,
            exp: (now + Self.lifetime).secondsSinceEpoch,
            jti: id
        )
        return try await keys.sign(claims, kid: JWKIdentifier(string: keyID))
    }

    /// Whose token this is; asks `mayTry` before a signature is checked that is not known yet.
    ///
    /// - Throws: 401 for a token that is not ours, has expired, or was made for somebody else.
    func partner(of token: Substring, now: Instant, mayTry: () throws -> Void) async throws -> PartnerID {
        let digest = CredentialDigest(token)
        if let known = verified.withLock({ $0[digest] }) {
            guard now < known.expiresAt else { throw APIError.invalidCredentials }
            return known.partner
        }
        try mayTry()
        let text = String(token)
        guard let header = CompactToken(text)?.header, header["alg"]?.string == "ES256",
            header["kid"]?.string == keyID, header["crit"] == nil,
            let claims = try? await keys.verify(text, as: Claims.self),
            claims.iss == issuer, claims.aud == audience, let partner = PartnerID(claims.sub)
        else { throw APIError.invalidCredentials }
        let expiresAt = Instant(secondsSinceEpoch: claims.exp)
        guard now < expiresAt else { throw APIError.invalidCredentials }
        verified.withLock { verified in
            if verified.count >= Self.capacity { verified = [:] }
            verified[digest] = Verified(partner: partner, expiresAt: expiresAt)
        }
        return partner
    }

    /// Whose a token is that was verified before, and until when; none says nothing of it.
    func checked(_ token: Substring) -> (partner: PartnerID, expiresAt: Instant)? {
        let digest = CredentialDigest(token)
        return verified.withLock { $0[digest] }.map { ($0.partner, $0.expiresAt) }
    }

    /// What `/.well-known/jwks.json` shows.
    var jwks: JSON {
        let point = key.publicKey.rawRepresentation
        return [
            "keys": [
                [
                    "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": .string(keyID),
                    "x": .string(base64URL(point.prefix(32))), "y": .string(base64URL(point.suffix(32))),
                ]
            ]
        ]
    }
}

/// The three parts of a JWS in compact form, read but not yet believed.
struct CompactToken {
    let header: JSONObject
    let payload: JSONObject
    /// What was signed.
    let signedBytes: [UInt8]
    let signature: [UInt8]

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3,
            let header = base64URLDecoded(parts[0]).flatMap({ try? JSONParser.parse($0).object }),
            let payload = base64URLDecoded(parts[1]).flatMap({ try? JSONParser.parse($0).object }),
            let signature = base64URLDecoded(parts[2])
        else { return nil }
        self.header = header
        self.payload = payload
        self.signature = signature
        signedBytes = Array("\(parts[0]).\(parts[1])".utf8)
    }
}

func base64URL(_ bytes: some DataProtocol) -> String {
    Data(bytes).base64EncodedString()
        .replacing("+", with: "-")
        .replacing("/", with: "_")
        .replacing("=", with: "")
}

func base64URLDecoded(_ text: some StringProtocol) -> [UInt8]? {
    var base64 = String(text).replacing("-", with: "+").replacing("_", with: "/")
    base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
    return Data(base64Encoded: base64).map(Array.init)
}
