import Foundation
import JWTKit
import TocsinJSON

/// A partner's public keys for `private_key_jwt`, registered inline and never fetched (decisions §2).
struct ClientKeys: Sendable {
    /// Enough for a rotation; more would only make guessing cheaper.
    static let countMax = 10
    /// Shorter RSA keys are not secure any more (NIST SP 800-131A).
    static let rsaBitsMin = 2048
    /// Longer ones make a check expensive.
    static let rsaBitsMax = 4096

    private struct Key: Sendable {
        var id: String?
        var algorithm: String
        var key: JWK
    }

    private let keys: [Key]

    /// Reads a JWKS document.
    ///
    /// - Throws: 422 that names the member.
    init(_ jwks: JSON) throws(APIError) {
        guard let list = jwks["keys"]?.array, (1...Self.countMax).contains(list.count) else {
            throw .invalid("jwks.keys", "must be an array of 1 to \(Self.countMax) keys")
        }
        var keys: [Key] = []
        for (index, element) in list.enumerated() {
            keys.append(try Self.key(element, at: "jwks.keys[\(index)]"))
        }
        self.keys = keys
    }

    private static func key(_ json: JSON, at field: String) throws(APIError) -> Key {
        guard let members = json.object else { throw .invalid(field, "must be an object") }
        for secret in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] where members[secret] != nil {
            throw .invalid(
                "\(field).\(secret)",
                "belongs to a private key. Register public keys only, and replace this one"
            )
        }
        let id = members["kid"]?.string
        func member(_ name: String) throws(APIError) -> String {
            guard let text = members[name]?.string, base64URLDecoded(text) != nil else {
                throw .invalid("\(field).\(name)", "must be base64url text")
            }
            return text
        }
        func check(algorithm: String) throws(APIError) {
            if let named = members["alg"]?.string, named != algorithm {
                throw .invalid("\(field).alg", "must be \"\(algorithm)\" for this type of key")
            }
        }
        let identifier = JWKIdentifier(string: "key")
        switch members["kty"]?.string {
        case "EC":
            guard members["crv"]?.string == "P-256" else { throw .invalid("\(field).crv", "must be \"P-256\"") }
            try check(algorithm: "ES256")
            let (x, y) = (try member("x"), try member("y"))
            guard (try? ES256PublicKey(parameters: (x, y))) != nil else {
                throw .invalid(field, "is not a point of the curve P-256")
            }
            let key = JWK.ecdsa(.es256, identifier: identifier, x: x, y: y, curve: .p256)
            return Key(id: id, algorithm: "ES256", key: key)
        case "RSA":
            try check(algorithm: "RS256")
            let (modulus, exponent) = (try member("n"), try member("e"))
            let bits = (base64URLDecoded(modulus)?.drop { $0 == 0 }.count ?? 0) * 8
            guard (rsaBitsMin...rsaBitsMax).contains(bits) else {
                throw .invalid("\(field).n", "must have \(rsaBitsMin) to \(rsaBitsMax) bits")
            }
            guard (try? Insecure.RSA.PublicKey(modulus: modulus, exponent: exponent)) != nil else {
                throw .invalid(field, "is not an RSA key")
            }
            let key = JWK.rsa(.rs256, identifier: identifier, modulus: modulus, exponent: exponent)
            return Key(id: id, algorithm: "RS256", key: key)
        default: throw .invalid("\(field).kty", "must be \"EC\" or \"RSA\"")
        }
    }

    /// Whether one of the keys signed the token.
    func verify(_ token: CompactToken) async -> Bool {
        guard let algorithm = token.header["alg"]?.string, token.header["crit"] == nil else { return false }
        let kid = token.header["kid"]?.string
        for candidate in keys where candidate.algorithm == algorithm && (kid == nil || kid == candidate.id) {
            guard let collection = try? await JWTKeyCollection().add(jwk: candidate.key),
                let verifier = try? await collection.getKey(for: candidate.key.keyIdentifier),
                (try? verifier.verify(token.signature, signs: token.signedBytes)) == true
            else { continue }
            return true
        }
        return false
    }
}
