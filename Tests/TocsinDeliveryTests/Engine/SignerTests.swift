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
