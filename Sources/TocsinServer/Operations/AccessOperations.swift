import Foundation
import HTTPTypes
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// How a partner gets a token, and how others check it (decisions §2; RFC 6749 §4.4, RFC 7523).
enum AccessOperations {
    static let all = [token, jwks]

    private static let token = Operation(
        .post,
        "/oauth/token",
        id: "createToken",
        tag: .access,
        summary: "Get a partner's access token",
        notes: """
            OAuth 2.0 client credentials: the client authenticates with its secret (HTTP Basic, or `client_secret` in \
            the form) or with `private_key_jwt`. Refusals have the form of RFC 6749 §5.2.
            """,
        callers: .everybody,
        body: .form(
            .object([
                .required("grant_type", .oneOf(["client_credentials"])),
                .optional("client_id", .string(1...64)),
                .optional("client_secret", Schema.string(1...200).writeOnly),
                .optional("client_assertion_type", .oneOf([assertionType])),
                .optional("client_assertion", Schema.string(1...8192).writeOnly),
                .optional("scope", .string()),
            ])
        ),
        replies: [
            .ok(
                "A token for `Authorization: Bearer …`.",
                Schema.object([
                    .required("access_token", .string(1...4096)),
                    .required("token_type", .oneOf(["Bearer"])),
                    .required("expires_in", .integer(1...86_400)),
                ]).named("AccessToken")
            )
        ],
        flags: [.noIdempotencyKey, .oauthErrors],
        bodyLimit: 16_384,
        handle: { call in
            do {
                return try await grant(call)
            } catch let error as OAuthError {
                return error.reply
            }
        }
    )

    private static let jwks = Operation(
        .get,
        "/.well-known/jwks.json",
        id: "getKeys",
        tag: .access,
        summary: "Get the public keys that tokens are signed with",
        callers: .everybody,
        replies: [.ok("A JWKS document.", Schema.object([.required("keys", .array(of: .any))]))],
        handle: { call in .ok(call.services.tokens.jwks) }
    )

    static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    /// How far ahead an assertion may expire (decisions §2).
    static let assertionLifetimeMax: Duration = .seconds(300)
    static let assertionIDLengthMax = 255

    // MARK: Granting

    private static func grant(_ call: Call) async throws -> Reply {
        try call.services.failures.check(call.clientAddress)
        guard let text = String(validating: call.bytes, as: UTF8.self) else {
            throw OAuthError(.invalidRequest, "The form is not UTF-8 text.")
        }
        let form: FormFields
        do throws(APIError) {
            form = try FormFields(text, plusIsSpace: true)
        } catch {
            throw OAuthError(.invalidRequest, error.message)
        }
        guard let type = form["grant_type"] else { throw OAuthError(.invalidRequest, "grant_type is missing.") }
        guard type == "client_credentials" else {
            throw OAuthError(.unsupportedGrantType, "Only client_credentials is granted here.")
        }
        let partner: Partner
        do {
            partner = try await client(form, call)
        } catch let error as OAuthError where error.code == .invalidClient {
            call.services.failures.record(call.clientAddress)
            throw error
        }
        let id: RequestID = call.newID()
        let token = try await call.services.tokens.token(for: partner.id, id: id.text, now: call.receivedAt)
        return Reply.ok([
            "access_token": .string(token), "token_type": "Bearer",
            "expires_in": .integer(TokenIssuer.lifetime.components.seconds),
        ]).uncached
    }

    /// The partner that the request authenticates as, by exactly one method.
    private static func client(_ form: FormFields, _ call: Call) async throws -> Partner {
        let basic = call.head.authorization
        let methods = [basic != nil, form["client_secret"] != nil, form["client_assertion"] != nil]
        guard methods.count(where: { $0 }) <= 1 else {
            throw OAuthError(.invalidRequest, "Authenticate by one method only.")
        }
        if let assertion = form["client_assertion"] {
            guard form["client_assertion_type"] == assertionType else {
                throw OAuthError(.invalidRequest, "client_assertion_type must be \(assertionType).")
            }
            return try await client(asserting: assertion, named: form["client_id"], call)
        }
        let credentials: (id: String, secret: String)
        if let basic {
            guard let decoded = Self.credentials(basic: basic) else {
                throw OAuthError(.invalidClient, "The Authorization header is not HTTP Basic.", isBasic: true)
            }
            credentials = decoded
        } else if let id = form["client_id"], let secret = form["client_secret"] {
            credentials = (id, secret)
        } else {
            throw OAuthError(.invalidClient, "The client did not authenticate.")
        }
        let partner = try await partner(credentials.id, call)
        guard let partner, !partner.isRevoked, partner.clientSecretHash == credentialHash(credentials.secret) else {
            throw OAuthError(.invalidClient, "The client is unknown or its secret is wrong.", isBasic: basic != nil)
        }
        return partner
    }

    private static func partner(_ clientID: String, _ call: Call) async throws -> Partner? {
        try await call.read { try $0.partner(authenticatingAs: clientID) }
    }

    /// `private_key_jwt`: `iss` = `sub` = client id, `aud` = this endpoint, at most 5 min ahead, `jti` used once.
    private static func client(asserting text: String, named id: String?, _ call: Call) async throws -> Partner {
        let refusal = OAuthError(.invalidClient, "The assertion is not acceptable.")
        let now = call.receivedAt
        guard let token = CompactToken(text), let issuer = token.payload["iss"]?.string,
            token.payload["sub"]?.string == issuer, id == nil || id == issuer,
            audiences(token).contains(call.services.tokens.tokenEndpoint),
            let expiry = seconds(token.payload["exp"]), let jti = token.payload["jti"]?.string,
            (1...assertionIDLengthMax).contains(jti.utf8.count)
        else { throw refusal }
        guard now < expiry, expiry <= now + assertionLifetimeMax else {
            throw OAuthError(.invalidClient, "The assertion has expired, or expires more than 5 minutes from now.")
        }
        for member in ["nbf", "iat"] {
            guard let json = token.payload[member] else { continue }
            guard let from = seconds(json), from <= now + ReportedTime.clockSkewMax else { throw refusal }
        }
        guard let partner = try await partner(issuer, call), !partner.isRevoked, let jwks = partner.jwks,
            let keys = try? ClientKeys(JSONParser.parse(jwks)), await keys.verify(token)
        else { throw refusal }
        let isFirstUse = try await call.ledger.write { transaction in
            try transaction.useAssertion(jti, of: issuer, expiresAt: expiry, now: now)
        }
        guard isFirstUse else { throw OAuthError(.invalidClient, "The assertion was used before. Make a new one.") }
        return partner
    }

    private static func audiences(_ token: CompactToken) -> [String] {
        switch token.payload["aud"] {
        case .string(let audience): [audience]
        case .array(let list): list.compactMap(\.string)
        case .null, .bool, .integer, .decimal, .object, nil: []
        }
    }

    /// A NumericDate: whole seconds, or with a fraction that is cut off.
    private static func seconds(_ json: JSON?) -> Instant? {
        let number: Int64? =
            switch json {
            case .integer(let seconds): seconds
            case .decimal(let text): Double(text).flatMap { Int64(exactly: $0.rounded(.down)) }
            case .null, .bool, .string, .array, .object, nil: nil
            }
        // Bounded so that arithmetic with it cannot overflow.
        return number.flatMap { (0...253_402_300_799).contains($0) ? Instant(secondsSinceEpoch: $0) : nil }
    }

    /// Client id and secret of HTTP Basic, which are form-encoded within (RFC 6749 §2.3.1).
    private static func credentials(basic: String) -> (id: String, secret: String)? {
        let parts = basic.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic",
            let data = Data(base64Encoded: String(parts[1].trimmed)),
            let text = String(validating: data, as: UTF8.self), let colon = text.firstIndex(of: ":"),
            let id = percentDecoded(text[..<colon], plusIsSpace: true),
            let secret = percentDecoded(text[text.index(after: colon)...], plusIsSpace: true)
        else { return nil }
        return (id, secret)
    }
}

/// A refusal of the token endpoint (RFC 6749 §5.2).
struct OAuthError: Error {
    enum Code: String {
        case invalidRequest = "invalid_request"
        case invalidClient = "invalid_client"
        case unsupportedGrantType = "unsupported_grant_type"
    }

    let code: Code
    let description: String
    let isBasic: Bool

    init(_ code: Code, _ description: String, isBasic: Bool = false) {
        self.code = code
        self.description = description
        self.isBasic = isBasic
    }

    static let schema = Schema.object([
        .required("error", .oneOf(["invalid_request", "invalid_client", "unsupported_grant_type"])),
        .optional("error_description", .string()),
    ]).named("OAuthError")

    var reply: Reply {
        let json: JSON = ["error": .string(code.rawValue), "error_description": .string(description)]
        var reply = Reply(code == .invalidClient ? .unauthorized : .badRequest)
        reply.body = .bytes(json.bytes, contentType: Reply.jsonType)
        if isBasic { reply.headers[.wwwAuthenticate] = "Basic realm=\"tocsin\"" }
        return reply.uncached
    }
}
