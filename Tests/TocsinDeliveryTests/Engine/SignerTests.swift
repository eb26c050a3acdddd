import Crypto
import Foundation
import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine

/// Vectors computed with Python's `hmac` over the bytes 0…31 and 32…63 as keys.
struct `Signatures` {
    static let secrets = [
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    ]
    static let hexadecimal = [
        "63f7d3263ea41b4a1905ad323e81b1ecf8345dcdb76acdb6617211fcb33efddc",
        "0b205a14dd01bed604b07a0e72f2c28295ec4a315ff31fafff9dbe2335e2f337",
    ]
    static let base64 = [
        "ZXaaL2Xwwzud2CYZ1BoHYmt1FJPkrpuVGeEe0WS8JdU=", "DxziZLTcpiVTz3D78XUxmKd6XwTLT+1QauO51v7vEGw=",
    ]
    let body = Array(#"{"id":"evt_1","type":"test.ping"}"#.utf8)
    let now = Instant(secondsSinceEpoch: 1_800_000_000)

    @Test func `one secret gives the known signatures`() {
        let signatures = Signer(secrets: [Self.secrets[0]]).sign(
            id: "evt_1",
            timestamp: "1800000000",
            body: body,
            at: now
        )
        #expect(signatures?.chekt == "v1=\(Self.hexadecimal[0])")
        #expect(signatures?.standard == "v1,\(Self.base64[0])")
    }

    @Test func `several secrets all sign`() {
        let signatures = Signer(secrets: Self.secrets).sign(id: "evt_1", timestamp: "1800000000", body: body, at: now)
        #expect(signatures?.chekt == "v1=\(Self.hexadecimal[0]),v1=\(Self.hexadecimal[1])")
        #expect(signatures?.standard == "v1,\(Self.base64[0]) v1,\(Self.base64[1])")
    }

    @Test func `a sealed secret signs until it expires, the newest first`() throws {
        let vault = Vault(key: Array(repeating: 7, count: 32))
        let endpoint = EndpointID(stored: "ep_1")
        let sealed = try Self.secrets.enumerated().map { index, secret in
            EndpointSecret(
                endpointID: endpoint,
                sealed: try vault.seal(secret.utf8, context: WebhookSecret.vaultContext(of: endpoint)),
                createdAt: now,
                expiresAt: index == 0 ? now + .seconds(60) : nil
            )
        }
        let signer = try Signer(sealed, vault: vault)
        let during = signer.sign(id: "evt_1", timestamp: "1800000000", body: body, at: now + .seconds(59))
        #expect(during?.chekt == "v1=\(Self.hexadecimal[1]),v1=\(Self.hexadecimal[0])")
        let after = signer.sign(id: "evt_1", timestamp: "1800000000", body: body, at: now + .seconds(60))
        #expect(after?.chekt == "v1=\(Self.hexadecimal[1])")
        var moved = sealed[0]
        moved.endpointID = EndpointID(stored: "ep_2")
        #expect(throws: VaultError.self) { try Signer([moved], vault: vault) }
    }

    @Test func `ed25519 signatures go beside the codes where the endpoint asks, and verify by the public key`() throws {
        let vault = Vault(key: Array(repeating: 7, count: 32))
        let endpoint = EndpointID(stored: "ep_1")
        let context = WebhookSecret.vaultContext(of: endpoint)
        let pairs = try (1...2).map { try SigningKey.make(SeededRandomness(seed: $0)) }
        let code = EndpointSecret(
            endpointID: endpoint,
            sealed: try vault.seal(Self.secrets[0].utf8, context: context),
            createdAt: now
        )
        let keys = try pairs.enumerated().map { index, pair in
            EndpointSecret(
                endpointID: endpoint,
                sealed: try vault.seal(pair.secret.utf8, context: context),
                createdAt: now,
                expiresAt: index == 0 ? now + .seconds(60) : nil,
                publicKey: pair.publicKey
            )
        }
        let plain = try Signer([code] + keys, vault: vault).sign(
            id: "evt_1",
            timestamp: "1800000000",
            body: body,
            at: now
        )
        #expect(plain?.standard == "v1,\(Self.base64[0])")
        let signer = try Signer([code] + keys, scheme: .v1a, vault: vault)
        let signatures = try #require(signer.sign(id: "evt_1", timestamp: "1800000000", body: body, at: now))
        #expect(signatures.chekt == "v1=\(Self.hexadecimal[0])")
        let parts = signatures.standard.split(separator: " ")
        #expect(parts.map { $0.prefix { $0 != "," } } == ["v1", "v1a", "v1a"])
        #expect(parts[0] == "v1,\(Self.base64[0])")
        for (part, pair) in zip(parts.dropFirst(), pairs.reversed()) {
            let raw = try #require(Data(base64Encoded: String(pair.publicKey.dropFirst(SigningKey.publicPrefix.count))))
            let key = try Curve25519.Signing.PublicKey(rawRepresentation: raw)
            let signature = try #require(Data(base64Encoded: String(part.dropFirst("v1a,".count))))
            let signed = Array("evt_1.1800000000.".utf8) + body
            #expect(key.isValidSignature(signature, for: signed))
            #expect(!key.isValidSignature(signature, for: signed + [32]))
        }
        let after = signer.sign(id: "evt_1", timestamp: "1800000000", body: body, at: now + .seconds(60))
        #expect(after?.standard.split(separator: " ").count == 2)
    }

    @Test func `ten secrets of each kind sign, and an eleventh does not`() throws {
        let vault = Vault(key: Array(repeating: 7, count: 32))
        let endpoint = EndpointID(stored: "ep_1")
        let context = WebhookSecret.vaultContext(of: endpoint)
        let secrets = try (1...11).flatMap { number in
            let pair = try SigningKey.make(SeededRandomness(seed: UInt64(number)))
            let code = WebhookSecret.make(SeededRandomness(seed: UInt64(100 + number)))
            return try [(code, String?.none), (pair.secret, pair.publicKey)].map { text, publicKey in
                EndpointSecret(
                    endpointID: endpoint,
                    sealed: try vault.seal(text.utf8, context: context),
                    createdAt: now,
                    publicKey: publicKey
                )
            }
        }
        let signatures = try Signer(secrets, scheme: .v1a, vault: vault).sign(
            id: "e",
            timestamp: "1",
            body: body,
            at: now
        )
        let parts = try #require(signatures).standard.split(separator: " ")
        #expect(parts.count { $0.hasPrefix("v1,") } == 10)
        #expect(parts.count { $0.hasPrefix("v1a,") } == 10)
        #expect(signatures?.chekt.split(separator: ",").count == 10)
        #expect(SigningKey.privateKey(of: WebhookSecret.make(SeededRandomness(seed: 1))) == nil)
    }

    @Test func `a made secret has the public form and nothing else is one`() {
        let secret = WebhookSecret.make(SeededRandomness(seed: 1))
        #expect(secret.hasPrefix("whsec_"))
        #expect(WebhookSecret.key(of: secret)?.count == 32)
        for text in ["", "whsec_", "whsec_AAEC", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_%%%"] {
            #expect(WebhookSecret.key(of: text) == nil)
        }
        #expect(Signer(secrets: ["nonsense"]).sign(id: "", timestamp: "", body: [], at: now) == nil)
    }
}
