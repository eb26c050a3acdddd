import Crypto
import Foundation
import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct AuthenticationTests {
    /// A JWS with any header and claims, signed with any P-256 key.
    static func jws(_ header: JSON, _ claims: JSON, key: P256.Signing.PrivateKey) throws -> String {
        let signed = "\(base64URL(Data(header.bytes))).\(base64URL(Data(claims.bytes)))"
        let signature = try key.signature(for: Data(signed.utf8))
        return "\(signed).\(base64URL(signature.rawRepresentation))"
    }

    @Test(arguments: [
        "", "Bearer", "Basic abc", "tcs_admin_root", "Bearer tcs_admin_wrong", "Bearer tcs_live_x", "Bearer x",
    ])
    func `what is no known credential is refused`(authorization: String) async throws {
        try await ServerWorld.run { world in
            let headers = authorization.isEmpty ? [:] : ["Authorization": authorization]
            let answer = try await world.send(.get, "/v1/sites", headers: headers)
            #expect(answer.status == 401)
            #expect(answer.code == "invalid_api_key")
            #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true)
        }
    }

    @Test func `a partner's token works for an hour`() async throws {
        try await ServerWorld.run { world in
            let token = try await world.partner("PanelCo").token
            #expect(try await world.send(.get, "/v1/sites", as: token).status == 200)
            world.clock.advance(.seconds(3599))
            #expect(try await world.send(.get, "/v1/sites", as: token).status == 200)
            world.clock.advance(.seconds(1))
            #expect(try await world.send(.get, "/v1/sites", as: token).code == "invalid_api_key")
        }
    }

    @Test func `a token is ours only with our key, algorithm, issuer, audience and time`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("PanelCo")
            let parts = partner.token.split(separator: ".").map(String.init)
            let header = try #require(CompactToken(partner.token)).header
            let claims = try #require(CompactToken(partner.token)).payload
            let foreign = P256.Signing.PrivateKey()
            func changed(_ object: JSONObject, _ name: String, _ value: JSON) -> JSON {
                var copy = object
                copy[name] = value
                return .object(copy)
            }
            let unsigned = base64URL(Data(changed(header, "alg", "none").bytes))
            let hmac = base64URL(Data(changed(header, "alg", "HS256").bytes))
            let forged = [
                "\(unsigned).\(parts[1]).",
                "\(unsigned).\(parts[1]).\(parts[2])",
                "\(hmac).\(parts[1]).\(parts[2])",
                try Self.jws(.object(header), .object(claims), key: foreign),
                "\(parts[0]).\(base64URL(Data(changed(claims, "sub", "prt_other").bytes))).\(parts[2])",
                "\(parts[0]).\(parts[1])",
                "\(partner.token).x",
            ]
            for token in forged {
                #expect(try await world.send(.get, "/v1/sites", as: token).status == 401, "\(token)")
            }
        }
    }

    @Test func `a token for another audience is refused`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("PanelCo")
            let vault = Vault(key: Array(repeating: 7, count: Vault.keyLength))
            // The same signing key, but a server that is reached under another name.
            let other = try await TokenIssuer.load(
                ledger: world.ledger,
                vault: vault,
                publicURL: "https://elsewhere.test"
            )
            let token = try await other.token(for: PartnerID(stored: partner.id), id: "t", now: world.clock.now)
            #expect(try await world.send(.get, "/v1/sites", as: token).status == 401)
        }
    }

    @Test func `revoking a partner acts at once`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("PanelCo")
            #expect(try await world.send(.get, "/v1/sites", as: partner.token).status == 200)
            let revoked = try await world.send(.post, "/v1/partners/\(partner.id)/actions/revoke", as: world.admin)
            #expect(revoked["revoked"]?.bool == true)
            #expect(try await world.send(.get, "/v1/sites", as: partner.token).status == 401)
            let form = "grant_type=client_credentials&client_id=\(partner.clientID)&client_secret=\(partner.secret)"
            #expect(try await world.form(form)["error"]?.string == "invalid_client")
        }
    }

    @Test func `rotating a client secret ends the old one`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("PanelCo")
            let path = "/v1/partners/\(partner.id)/actions/rotate-secret"
            let secret = try await world.send(.post, path, as: world.admin).string("client_secret")
            let form = "grant_type=client_credentials&client_id=\(partner.clientID)&client_secret="
            #expect(try await world.form(form + partner.secret).status == 401)
            #expect(try await world.form(form + secret).status == 200)
        }
    }

    @Test func `an app key works until it expires or the app is revoked`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let expiry = world.clock.now + .seconds(60)
            let (id, key) = try await world.app(of: dealer, [.sitesRead], expiresAt: expiry)
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 200)
            world.clock.advance(.seconds(60))
            #expect(try await world.send(.get, "/v1/sites", as: key).status == 401)

            let (other, live) = try await world.app(of: dealer, [.sitesRead])
            #expect(other != id)
            #expect(try await world.send(.get, "/v1/sites", as: live).status == 200)
            try await world.ledger.write { transaction in
                guard var app = try transaction.app(other, within: .platform) else { return }
                app.isRevoked = true
                try transaction.update(app)
            }
            world.services.directory.forget(other)
            #expect(try await world.send(.get, "/v1/sites", as: live).status == 401)
        }
    }

    @Test func `another process's change is noticed within five seconds`() async throws {
        try await ServerWorld.run { world in
            #expect(try await world.send(.get, "/v1/sites", as: world.admin).status == 200)
            try await world.ledger.write { transaction in
                guard var token = try transaction.adminToken(hash: credentialHash(world.admin)) else { return }
                token.isRevoked = true
                try transaction.update(token)
            }
            world.clock.advance(.seconds(5))
            #expect(try await world.send(.get, "/v1/sites", as: world.admin).status == 401)
        }
    }

    @Test func `an app with an allow list is refused from an unknown address`() async throws {
        try await ServerWorld.run { world in
            let dealer = try await world.dealer("Acme")
            let (_, key) = try await world.app(of: dealer, [.sitesRead], allowing: ["203.0.113.0/24"])
            let answer = try await world.send(.get, "/v1/sites", as: key)
            #expect(answer.status == 403)
            #expect(answer.code == "permission_denied")
        }
    }

    @Test func `failures are limited, but never hold up a credential that works`() async throws {
        try await ServerWorld.run { world in
            #expect(try await world.send(.get, "/v1/sites", as: world.admin).status == 200)
            var statuses: Set<Int> = []
            for number in 0..<60 {
                statuses.insert(try await world.send(.get, "/v1/sites", as: "tcs_live_wrong\(number)").status)
            }
            #expect(statuses == [401, 429])
            let limited = try await world.send(.get, "/v1/sites", as: "tcs_live_wrong")
            #expect(limited.headers[.retryAfter] != nil)
            #expect(try await world.send(.get, "/v1/sites", as: world.admin).status == 200)
            world.clock.advance(.seconds(10))
            #expect(try await world.send(.get, "/v1/sites", as: "tcs_live_wrong").status == 401)
        }
    }
}

@Suite struct TokenEndpointTests {
    static let type = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

    @Test func `HTTP Basic authenticates a client`() async throws {
        try await ServerWorld.run { world in
            let partner = try await world.partner("PanelCo")
            let basic = Data("\(partner.clientID):\(partner.secret)".utf8).base64EncodedString()
            let answer = try await world.form(
                "grant_type=client_credentials",
                headers: ["Authorization": "Basic \(basic)"]
            )
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer["token_type"]?.string == "Bearer")
            #expect(answer["expires_in"]?.integer == 3600)
            #expect(answer.headers[.cacheControl] == "no-store")
        }
    }

    @Test(
        arguments: [
            ("", 400, "invalid_request"),
            ("grant_type=password", 400, "unsupported_grant_type"),
            ("grant_type=client_credentials", 401, "invalid_client"),
            ("grant_type=client_credentials&client_id=x&client_secret=y", 401, "invalid_client"),
            ("grant_type=client_credentials&client_id=x&client_secret=y&client_assertion=z", 400, "invalid_request"),
            ("grant_type=client_credentials&client_assertion=z", 400, "invalid_request"),
            ("grant_type=client_credentials&grant_type=x", 400, "invalid_request"),
            ("grant_type=%FF", 400, "invalid_request"),
        ]
    )
    func `refusals have the form of RFC 6749`(form: String, status: Int, error: String) async throws {
        try await ServerWorld.run { world in
            let answer = try await world.form(form)
            #expect(answer.status == status, "\(answer.text)")
            #expect(answer["error"]?.string == error)
        }
    }

    @Test(
        arguments: [
            (["Content-Type": "application/json"], 16, 415), ([:], 20_000, 413),
            (["x-partner-trace-id": "two words"], 16, 400),
        ] as [([String: String], Int, Int)]
    )
    func `so have refusals of what is no form`(headers: [String: String], length: Int, status: Int) async throws {
        try await ServerWorld.run { world in
            let answer = try await world.form(String(repeating: "x", count: length), headers: headers)
            #expect(answer.status == status, "\(answer.text)")
            #expect(answer["error"]?.string == "invalid_request")
            #expect(answer["error_description"]?.string?.isEmpty == false)
            #expect(answer.headers[.cacheControl] == "no-store" && answer.headers[.requestID] != nil)
        }
    }

    struct Assertion: Sendable, CustomTestStringConvertible {
        var name: String
        var status: Int
        var changes: JSONObject = [:]
        var testDescription: String { name }
    }

    static let now = ServerWorld.start.secondsSinceEpoch
    static let assertions: [Assertion] = [
        Assertion(name: "as it should be", status: 200),
        Assertion(
            name: "with a list of audiences",
            status: 200,
            changes: ["aud": ["x", "https://tocsin.test/oauth/token"]]
        ),
        Assertion(name: "expired", status: 401, changes: ["exp": .integer(now)]),
        Assertion(name: "too far ahead", status: 401, changes: ["exp": .integer(now + 301)]),
        Assertion(name: "absurdly far ahead", status: 401, changes: ["exp": .integer(Int64.max)]),
        Assertion(name: "without an expiry", status: 401, changes: ["exp": nil]),
        Assertion(name: "without an id", status: 401, changes: ["jti": nil]),
        Assertion(name: "for another audience", status: 401, changes: ["aud": "https://tocsin.test/v1"]),
        Assertion(name: "with another subject", status: 401, changes: ["sub": "client_other"]),
        Assertion(name: "not valid yet", status: 401, changes: ["nbf": .integer(now + 31)]),
    ]

    @Test(arguments: assertions)
    func `a client assertion is judged by its claims`(assertion: Assertion) async throws {
        try await ServerWorld.run { world in
            let (clientID, key) = try await Self.keyedPartner(world)
            let answer = try await Self.assert(world, clientID, key, assertion.changes)
            #expect(answer.status == assertion.status, "\(answer.text)")
        }
    }

    @Test func `a client assertion works once, and only with the registered key and algorithm`() async throws {
        try await ServerWorld.run { world in
            let (clientID, key) = try await Self.keyedPartner(world)
            #expect(try await Self.assert(world, clientID, key, [:]).status == 200)
            #expect(try await Self.assert(world, clientID, key, [:]).status == 401)
            #expect(try await Self.assert(world, clientID, key, ["jti": "2"]).status == 200)
            let foreign = P256.Signing.PrivateKey()
            #expect(try await Self.assert(world, clientID, foreign, ["jti": "3"]).status == 401)
            for algorithm in ["none", "HS256", "RS256", "ES384"] {
                let answer = try await Self.assert(world, clientID, key, ["jti": "4"], algorithm: algorithm)
                #expect(answer.status == 401)
            }
        }
    }

    @Test func `private and weak keys are not registered`() async throws {
        try await ServerWorld.run { world in
            let key = P256.Signing.PrivateKey()
            var secret = Self.jwk(key)
            secret["d"] = .string(base64URL(key.rawRepresentation))
            let weak: JSONObject = [
                "kty": "RSA", "n": .string(base64URL(Data(repeating: 0xFF, count: 128))), "e": "AQAB",
            ]
            let rows: [(JSONObject, String)] = [
                (secret, "jwks.keys[0].d"), (weak, "jwks.keys[0].n"),
                (["kty": "oct", "k": "AAAA"], "jwks.keys[0].kty"),
                (["kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"], "jwks.keys[0]"),
            ]
            for (jwk, field) in rows {
                let answer = try await world.send(
                    .post,
                    "/v1/partners",
                    as: world.admin,
                    [
                        "name": "PanelCo", "arming_model": "partner_triggered", "jwks": ["keys": [.object(jwk)]],
                    ]
                )
                #expect(answer.status == 422)
                #expect(answer.field == field)
            }
        }
    }

    @Test func `the published key verifies a token`() async throws {
        try await ServerWorld.run { world in
            let token = try await world.partner("PanelCo").token
            let jwks = try await world.send(.get, "/.well-known/jwks.json")
            let keys = try ClientKeys(jwks.json)
            #expect(await keys.verify(try #require(CompactToken(token))))
        }
    }

    private static func jwk(_ key: P256.Signing.PrivateKey) -> JSONObject {
        let point = key.publicKey.rawRepresentation
        return [
            "kty": "EC", "crv": "P-256", "kid": "k1", "x": .string(base64URL(point.prefix(32))),
            "y": .string(base64URL(point.suffix(32))),
        ]
    }

    private static func keyedPartner(_ world: ServerWorld) async throws -> (String, P256.Signing.PrivateKey) {
        let key = P256.Signing.PrivateKey()
        let made = try await world.send(
            .post,
            "/v1/partners",
            as: world.admin,
            [
                "name": "PanelCo", "arming_model": "partner_triggered", "jwks": ["keys": [.object(jwk(key))]],
            ]
        )
        return (try made.string("client_id"), key)
    }

    private static func assert(
        _ world: ServerWorld,
        _ clientID: String,
        _ key: P256.Signing.PrivateKey,
        _ changes: JSONObject,
        algorithm: String = "ES256"
    ) async throws -> ServerWorld.Answer {
        var claims: JSONObject = [
            "iss": .string(clientID), "sub": .string(clientID), "aud": "https://tocsin.test/oauth/token",
            "exp": .integer(now + 300), "jti": "1",
        ]
        for member in changes.members { claims[member.name] = member.value == .null ? nil : member.value }
        let header: JSON = ["alg": .string(algorithm), "kid": "k1"]
        let token = try AuthenticationTests.jws(header, .object(claims), key: key)
        return try await world.form("grant_type=client_credentials&\(type)&client_assertion=\(token)")
    }
}
