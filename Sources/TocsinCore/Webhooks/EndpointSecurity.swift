/// What an endpoint asks its requests to be signed with, beside the codes that every request has.
package enum SignatureScheme: String, CaseIterable, Sendable {
    /// Codes (HMAC-SHA256) with the secret that both sides know.
    case v1
    /// In addition ed25519 signatures, that whoever knows the public key can verify and nobody else can make.
    case v1a
}

/// The certificate that an endpoint's receiver asks of us (mutual TLS), with what may be shown of it.
package struct ClientCertificate: Hashable, Sendable {
    /// The chain and its private key in PEM, sealed.
    package var sealed: [UInt8]
    /// SHA-256 of the certificate in DER, in hexadecimal.
    package var fingerprint: String
    package var expiresAt: Instant

    package init(sealed: [UInt8], fingerprint: String, expiresAt: Instant) {
        self.sealed = sealed
        self.fingerprint = fingerprint
        self.expiresAt = expiresAt
    }
}

/// A public key that an endpoint's `v1a` signatures are verified with.
package struct EndpointPublicKey: Hashable, Sendable {
    /// `whpk_` and the base64 of 32 bytes.
    package var text: String
    /// While keys overlap, the older ones sign until then.
    package var expiresAt: Instant?

    package init(text: String, expiresAt: Instant? = nil) {
        self.text = text
        self.expiresAt = expiresAt
    }
}
