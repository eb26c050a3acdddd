import Crypto
import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Credentials that must not work.
    @Suite
    struct Tokens {
        @Test(.timeLimit(.minutes(5)))
        func `forged, foreign and revoked tokens are refused`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let first = try await installation.start(["--public-url", "https://elsewhere.test"])
                let foreign = try await installation.partnerToken(first)
                #expect(try await first.api(foreign).get("/v1/sites").status == 200)
                #expect(try await first.stop() == 0)

                let server = try await installation.start()
                let token = try await installation.partnerToken(server)
                #expect(try await server.api(token).get("/v1/sites").status == 200)
                let parts = token.split(separator: ".").map(String.init)
                let none = base64URL(#"{"alg":"none","typ":"JWT"}"#)
                let forgeries: [(String, String?)] = [
                    ("no token", nil), ("an empty token", ""), ("nonsense", "nonsense"),
                    ("alg none", "\(none).\(parts[1])."),
                    ("alg none, old signature", "\(none).\(parts[1]).\(parts[2])"),
                    ("no signature", "\(parts[0]).\(parts[1])."),
                    ("longer life", try outliving(parts)), ("another audience", foreign),
                ]
                for (title, forged) in forgeries {
                    let reply = try await server.api(forged).get("/v1/sites")
                    #expect(reply.status == 401, "\(title): \(reply.text)")
                    #expect(reply.errorCode == "invalid_api_key", "\(title): \(reply.text)")
                }
                let admin = server.api(installation.adminToken)
                let partner = try #require(try installation.item("partners", Fleet.partner)["partner_id"]?.string)
                try await admin.expect(200, .POST, "/v1/partners/\(partner)/actions/revoke", [:])
                let revoked = try await server.api(token).get("/v1/sites")
                #expect(revoked.status == 401, "\(revoked.text)")
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a client assertion works once, in time, and for this server only`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let url = "https://tocsin.test"
                let server = try await installation.start(["--public-url", url])
                let key = P256.Signing.PrivateKey()
                let partner = try await server.api(installation.adminToken)
                    .expect(201, .POST, "/v1/partners", try registration(key))
                let client = try #require(partner["client_id"]?.string)
                let now = Int(Date().timeIntervalSince1970)
                let endpoint = "\(url)/oauth/token"

                let good = try assertion(key, client, audience: endpoint, expires: now + 60, id: "one")
                #expect(try await grant(server, good).status == 200)
                let bad = [
                    ("used twice", good),
                    ("expired", try assertion(key, client, audience: endpoint, expires: now - 1, id: "two")),
                    ("too long", try assertion(key, client, audience: endpoint, expires: now + 900, id: "three")),
                    (
                        "elsewhere",
                        try assertion(key, client, audience: "https://a.test", expires: now + 60, id: "four")
                    ),
                    ("other key", try assertion(.init(), client, audience: endpoint, expires: now + 60, id: "five")),
                ]
                for (title, text) in bad {
                    let reply = try await grant(server, text)
                    #expect(reply.status == 401, "\(title): \(reply.text)")
                    #expect(reply.json["error"] == "invalid_client", "\(title): \(reply.text)")
                }
                #expect(try await server.stop() == 0)
                // Not even a restart makes it good again.
                let next = try await installation.start(["--public-url", url])
                #expect(try await grant(next, good).status == 401)
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a token of an hour ago has expired`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let flags = ["--public-url", "https://tocsin.test"]
                let shim = try await ShiftedClock.library(in: installation.directory)
                let past = try await installation.start(
                    flags,
                    environment: ShiftedClock.environment(shim, seconds: -3700)
                )
                let old = try await installation.partnerToken(past)
                #expect(try await past.api(old).get("/v1/sites").status == 200)
                #expect(try await past.stop() == 0)
                let recent = try await installation.start(
                    flags,
                    environment: ShiftedClock.environment(shim, seconds: -3000)
                )
                let valid = try await installation.partnerToken(recent)
                #expect(try await recent.stop() == 0)

                let server = try await installation.start(flags)
                #expect(try await server.api(valid).get("/v1/sites").status == 200)
                let refused = try await server.api(old).get("/v1/sites")
                #expect(refused.status == 401, "\(refused.text)")
                #expect(refused.errorCode == "invalid_api_key", "\(refused.text)")
            }
        }

        private func grant(_ server: Server, _ assertion: String) async throws -> Reply {
            try await server.api()
                .oauth([
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", assertion),
                ])
        }

        private func registration(_ key: P256.Signing.PrivateKey) throws -> JSON {
            let point = key.publicKey.rawRepresentation
            let jwk: JSON = [
                "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k1",
                "x": .string(base64URL(point.prefix(32))), "y": .string(base64URL(point.suffix(32))),
            ]
            return ["name": "KeyCo", "arming_model": "partner_triggered", "jwks": ["keys": [jwk]]]
        }

        private func assertion(
            _ key: P256.Signing.PrivateKey,
            _ client: String,
            audience: String,
            expires: Int,
            id: String
        ) throws -> String {
            let header = base64URL(#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#)
            let claims: JSON = [
                "iss": .string(client), "sub": .string(client), "aud": .string(audience), "exp": JSON(expires),
                "jti": .string(id),
            ]
            let signed = "\(header).\(base64URL(claims.text))"
            let signature = try key.signature(for: Data(signed.utf8))
            return "\(signed).\(base64URL(signature.rawRepresentation))"
        }

        /// The token's claims with another expiry under the old signature.
        private func outliving(_ parts: [String]) throws -> String {
            var text = parts[1].replacing("-", with: "+").replacing("_", with: "/")
            text += String(repeating: "=", count: (4 - text.count % 4) % 4)
            let bytes = try #require(Data(base64Encoded: text))
            var claims = try #require(JSONParser.parse(Array(bytes)).object)
            claims["exp"] = 4_000_000_000
            return "\(parts[0]).\(base64URL(JSON.object(claims).text)).\(parts[2])"
        }

        private func base64URL(_ text: String) -> String { base64URL(Data(text.utf8)) }

        private func base64URL(_ data: Data) -> String {
            data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        }
    }
}
