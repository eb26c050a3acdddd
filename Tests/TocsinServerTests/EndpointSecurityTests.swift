import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinTestSupport

@testable import TocsinServer

/// Signatures and certificates of endpoints.
@Suite struct EndpointSecurityTests {
    private struct Place {
        var admin: String
        var app: AppID

        init(_ world: ServerWorld) async throws {
            let scene = try await world.scene()
            admin = try await world.dealerAdmin(of: scene.dealer)
            (app, _) = try await world.app(of: scene.dealer, [.sitesRead])
        }

        /// Makes an endpoint; returns its path and the reply.
        func endpoint(
            _ world: ServerWorld,
            _ changes: JSONObject
        ) async throws -> (path: String, reply: ServerWorld.Answer) {
            let reply = try await world.endpoint(ofApp: app.text, as: admin, changes)
            return ("/v1/endpoints/\(try reply.string("endpoint_id"))", reply)
        }
    }

    private static func keys(_ answer: ServerWorld.Answer) -> [String] {
        (answer["public_keys"]?.array ?? []).compactMap { $0.object?["public_key"]?.string }
    }

    private static func expiries(_ answer: ServerWorld.Answer) -> [String?] {
        (answer["public_keys"]?.array ?? []).map { $0.object?["expires_at"]?.string }
    }

    @Test func `an endpoint that asks for v1a shows its public key and never the private one`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let (path, made) = try await place.endpoint(world, ["signature": "v1a"])
            #expect(made["signature"]?.string == "v1a")
            #expect(Self.keys(made).map { $0.hasPrefix("whpk_") } == [true])
            #expect(try made.string("secret").hasPrefix("whsec_"))
            #expect(!made.text.contains("whsk_"))

            let shown = try await world.send(.get, path, as: place.admin)
            #expect(Self.keys(shown) == Self.keys(made))
            #expect(!shown.text.contains("whsk_") && !shown.text.contains("whsec_"))

            let id = EndpointID(stored: try made.string("endpoint_id"))
            let secrets = try await world.ledger.read { try $0.secrets(of: id) }
            #expect(secrets.count == 2)
            let pair = try #require(secrets.first { $0.publicKey != nil })
            #expect(!String(decoding: pair.sealed, as: UTF8.self).contains("whsk_"))
            let opened = try world.services.vault.open(pair.sealed, context: WebhookSecret.vaultContext(of: id))
            #expect(SigningKey.privateKey(of: String(decoding: opened, as: UTF8.self)) != nil)
            #expect([pair.publicKey] == Self.keys(shown))
        }
    }

    @Test func `an endpoint changes to v1a and back, and keeps its key for the next time`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let (path, made) = try await place.endpoint(world, [:])
            #expect(made["signature"]?.string == "v1")
            #expect(made["public_keys"] == nil)
            let first = try await world.send(.patch, path, as: place.admin, ["signature": "v1a"])
            #expect(Self.keys(first).count == 1)
            let other = try await world.send(.patch, path, as: place.admin, ["concurrency": 3])
            #expect(Self.keys(other) == Self.keys(first))
            let back = try await world.send(.patch, path, as: place.admin, ["signature": "v1"])
            #expect(back["public_keys"] == nil)
            let again = try await world.send(.patch, path, as: place.admin, ["signature": "v1a"])
            #expect(Self.keys(again) == Self.keys(first))
            let refused = try await world.send(.patch, path, as: place.admin, ["signature": "v2"])
            #expect(refused.field == "signature")
        }
    }

    @Test func `a rotation makes a new pair, and the old one signs for 24 hours more`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let (path, made) = try await place.endpoint(world, ["signature": "v1a"])
            world.clock.advance(.seconds(60))
            let end = (world.clock.now + .seconds(86_400)).rfc3339Seconds
            let rotated = try await world.send(.post, "\(path)/actions/rotate-secret", as: place.admin)
            #expect(Self.keys(rotated).count == 2)
            #expect(Self.keys(rotated).last == Self.keys(made).first)
            #expect(Self.expiries(rotated) == [nil, end])
            #expect(try rotated.string("secret") != made.string("secret"))
            for _ in 0..<8 {
                world.clock.advance(.seconds(1))
                #expect(try await world.send(.post, "\(path)/actions/rotate-secret", as: place.admin).status == 200)
            }
            let full = try await world.send(.get, path, as: place.admin)
            #expect(Self.keys(full).count == 10)
            let refused = try await world.send(.post, "\(path)/actions/rotate-secret", as: place.admin)
            #expect(refused.code == "too_many")
        }
    }

    // MARK: Certificates

    static let certificate: JSON = [
        "certificate": .string(SampleCertificates.chain), "private_key": .string(SampleCertificates.key),
    ]

    @Test func `a client certificate is sealed, and shown by its fingerprint and its end only`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let (path, made) = try await place.endpoint(world, ["client_certificate": Self.certificate])
            let fingerprint = "24f9d539b6dceb961580c06649ff3e0ad2dfde80c4ac1ab1fb98fe081e3b8d19"
            let shown: JSON = ["fingerprint": .string(fingerprint), "expires_at": "2126-10-28T14:00:00Z"]
            #expect(made["client_certificate"] == shown)
            #expect(!made.text.contains("PRIVATE") && !made.text.contains("BEGIN"))
            #expect(try await world.send(.get, path, as: place.admin)["client_certificate"] == shown)

            let id = EndpointID(stored: try made.string("endpoint_id"))
            let stored = try #require(try await world.ledger.read { try $0.endpoint(id, within: .platform) })
            let sealed = try #require(stored.clientCertificate).sealed
            #expect(!String(decoding: sealed, as: UTF8.self).contains("PRIVATE"))
            let context = WebhookSecret.vaultContext(ofCertificateOf: id)
            let text = String(decoding: try world.services.vault.open(sealed, context: context), as: UTF8.self)
            #expect(text.contains(SampleCertificates.key) && text.contains(SampleCertificates.chain))

            let kept = try await world.send(.patch, path, as: place.admin, ["concurrency": 2])
            #expect(kept["client_certificate"] == shown)
            let gone = try await world.send(.patch, path, as: place.admin, ["client_certificate": nil])
            #expect(gone.status == 200)
            #expect(gone["client_certificate"] == nil)
            #expect(try await world.send(.get, path, as: place.admin)["client_certificate"] == nil)
        }
    }

    @Test(
        arguments: [
            (
                ["certificate": "nonsense", "private_key": .string(SampleCertificates.key)],
                "client_certificate.certificate"
            ),
            (
                ["certificate": .string(SampleCertificates.chain), "private_key": "nonsense"],
                "client_certificate.private_key"
            ),
            (
                [
                    "certificate": .string(SampleCertificates.chain),
                    "private_key": .string(SampleCertificates.expiredKey),
                ], "client_certificate.private_key"
            ),
            (
                [
                    "certificate": .string(SampleCertificates.expiredChain),
                    "private_key": .string(SampleCertificates.expiredKey),
                ],
                "client_certificate.certificate"
            ),
            (["certificate": .string(SampleCertificates.chain)], "client_certificate.private_key"),
            ([:], "client_certificate.certificate"), ("text", "client_certificate"),
        ] as [(JSON, String)]
    )
    func `a certificate that cannot be used is refused by its member`(certificate: JSON, field: String) async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let body: JSON = [
                "url": "https://a.test/", "events": ["partition.armed"], "client_certificate": certificate,
            ]
            let refused = try await world.send(.post, "/v1/apps/\(place.app)/endpoints", as: place.admin, body)
            #expect(refused.status == 422)
            #expect(refused.field == field, "\(refused.text)")
            #expect(!refused.text.contains("PRIVATE"))
        }
    }
}
