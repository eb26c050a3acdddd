import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// What endpoints say about signatures and certificates (decisions §8; design, delivery).
enum EndpointSecurity {
    static let settings: [Schema.Property] = [
        .optional("signature", signature),
        .optional("client_certificate", certificate.nullable),
    ]

    static let members: [Schema.Property] = [
        .required("signature", signature),
        .optional("public_keys", publicKeys),
        .optional("client_certificate", shownCertificate),
    ]

    private static let signature = Schema.oneOf(SignatureScheme.self).described(
        """
        `v1`: HMAC-SHA256 with the endpoint's secret. `v1a`: in `webhook-signature` an ed25519 signature as well, that \
        `public_keys` verify.
        """
    )
    private static let publicKeys = Schema.array(
        of: .object([
            .required("public_key", Schema.string(1...100).described("`whpk_` and the base64 of 32 bytes.")),
            .optional("expires_at", .time),
        ]),
        count: 0...100
    ).described(
        "With `v1a`: what verifies its signatures, the newest first; one that was rotated signs until it expires."
    )
    private static let certificate = Schema.object([
        .required(
            "certificate",
            Schema.string(1...ClientIdentity.textLengthMax).described("PEM; intermediates follow.")
        ),
        .required(
            "private_key",
            Schema.string(1...ClientIdentity.textLengthMax).described("PEM, without a passphrase.")
        ),
    ]).writeOnly.described("Shown to a receiver that asks for one (mutual TLS). Sealed; null takes it away.")
    private static let shownCertificate = Schema.object([
        .required("fingerprint", Schema.string(64...64).described("SHA-256 of the certificate, in hexadecimal.")),
        .required("expires_at", .time),
    ]).described("The certificate that is shown to a receiver that asks for one.")

    static func show(_ endpoint: Endpoint, in object: inout JSONObject) {
        object["signature"] = .string(endpoint.signature.rawValue)
        if endpoint.signature == .v1a {
            object["public_keys"] = .array(
                endpoint.publicKeys.map { key in
                    var shown: JSONObject = ["public_key": .string(key.text)]
                    shown["expires_at"] = key.expiresAt.map { .string($0.rfc3339Seconds) }
                    return .object(shown)
                }
            )
        }
        if let certificate = endpoint.clientCertificate {
            object["client_certificate"] = [
                "fingerprint": .string(certificate.fingerprint),
                "expires_at": .string(certificate.expiresAt.rfc3339Seconds),
            ]
        }
    }

    /// Takes over what the body names.
    static func apply(_ call: Call, to endpoint: inout Endpoint) throws {
        endpoint.signature = call.body.optionalValue("signature") ?? endpoint.signature
        guard call.body.has("client_certificate") else { return }
        endpoint.clientCertificate = try call.body.fields("client_certificate").map { fields in
            let (chain, key) = (try fields.string("certificate"), try fields.string("private_key"))
            let identity: ClientIdentity
            do throws(ClientIdentity.Fault) {
                identity = try ClientIdentity(certificate: chain, privateKey: key)
            } catch {
                throw APIError.invalid(fields.path(error.member), error.clause)
            }
            if identity.expiresAt <= call.receivedAt {
                let clause = "expired at \(identity.expiresAt.rfc3339Seconds); give one that is valid"
                throw APIError.invalid(fields.path("certificate"), clause)
            }
            let text = ClientIdentity.text(certificate: chain, privateKey: key)
            let context = WebhookSecret.vaultContext(ofCertificateOf: endpoint.id)
            return ClientCertificate(
                sealed: try call.services.vault.seal(text.utf8, context: context),
                fingerprint: identity.fingerprint,
                expiresAt: identity.expiresAt
            )
        }
    }

    /// Gives an endpoint that asks for `v1a` a key pair unless it has one that stays; returns it as it then is.
    static func completed(_ endpoint: Endpoint, _ call: Call, _ transaction: any LedgerTransaction) throws -> Endpoint {
        try SigningKey.complete(
            endpoint,
            in: transaction,
            vault: call.services.vault,
            randomness: call.services.randomness,
            at: call.receivedAt
        )
        return try EndpointOperations.found(endpoint.id, call, transaction)
    }
}
