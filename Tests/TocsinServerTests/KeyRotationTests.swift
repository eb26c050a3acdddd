import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// The encryption key is replaced: nothing that was sealed is lost, and nothing opens with the old one.
@Suite struct KeyRotationTests {
    private static let newKey = [UInt8](repeating: 42, count: Vault.keyLength)

    /// A ledger that has a sealed value of every kind.
    private struct Place {
        let endpoint: EndpointID
        let relay: RelayID
        let ticket = (headers: ["Idempotency-Key": "once"], body: ["name": "Twice"] as JSON)
        let first: ServerWorld.Answer

        init(_ world: ServerWorld) async throws {
            let shop = try await world.shop()
            let admin = try await world.dealerAdmin(of: shop.dealer)
            let (app, _) = try await world.app(of: shop.dealer, [.sitesRead])
            let made = try await world.endpoint(
                ofApp: app.text,
                as: admin,
                [
                    "signature": "v1a", "client_certificate": EndpointSecurityTests.certificate,
                    "headers": ["X-Api-Key": "top-secret"],
                ]
            )
            endpoint = EndpointID(stored: try made.string("endpoint_id"))
            let bridge: JSON = ["type": "webhook", "url": "https://bridge.example.test/relay"]
            let siren = try await world.send(
                .post,
                "\(shop.path)/relays",
                as: shop.key,
                ["name": "Siren", "actuator": bridge]
            )
            relay = RelayID(stored: try siren.string("relay_id"))
            first = try await world.send(.post, "/v1/dealers", as: world.admin, ticket.body, headers: ticket.headers)
            try await world.settled()
            _ = try await TokenIssuer.load(
                ledger: world.ledger,
                vault: world.services.vault,
                publicURL: "https://a.test"
            )
            let check = world.services.vault.checkValue
            try await world.ledger.write { try $0.setFact(VaultRotation.checkFact, to: check) }
        }
    }

    /// Opens one value of every kind.
    private static func open(_ place: Place, _ world: ServerWorld, with vault: Vault) async throws -> [String] {
        let (endpoint, relay) = (place.endpoint, place.relay)
        return try await world.ledger.read { reader in
            func text(_ sealed: [UInt8], _ context: String) throws -> String {
                String(decoding: try vault.open(sealed, context: context), as: UTF8.self)
            }
            let stored = try #require(try reader.endpoint(endpoint, within: .platform))
            let header = try #require(stored.sealedHeaders["x-api-key"])
            let certificate = try #require(stored.clientCertificate).sealed
            let fixture = try #require(try reader.fixture(relay.text, kind: .relay, within: .platform))
            guard case .webhook(_, let secret) = try Relay(fixture).actuator else { throw NoBridge() }
            let fact = try #require(try reader.fact(TokenIssuer.factName))
            let secrets = try reader.secrets(of: endpoint).map {
                try text($0.sealed, WebhookSecret.vaultContext(of: endpoint))
            }
            return try secrets + [
                text(header, WebhookSecret.vaultContext(ofHeader: "x-api-key", of: endpoint)),
                text(certificate, WebhookSecret.vaultContext(ofCertificateOf: endpoint)),
                RelaySecret.opened(secret, of: relay, vault: vault),
                String(decoding: vault.open(fact, context: TokenIssuer.factName), as: UTF8.self),
            ]
        }
    }

    private struct NoBridge: Error {}

    private static func rotate(_ world: ServerWorld, to key: [UInt8] = newKey) async throws -> Int {
        let (vault, now) = (world.services.vault, world.clock.now)
        return try await world.ledger.write { try VaultRotation.run(in: $0, from: vault, to: key, at: now) }
    }

    @Test func `everything opens with the new key alone, and hashes stay as they were`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let old = world.services.vault
            let before = try await Self.open(place, world, with: old)
            #expect(before.contains("top-secret"))
            let count = try await Self.rotate(world)
            #expect(count >= 6)

            let oldKey = [UInt8](repeating: 7, count: Vault.keyLength)
            #expect(try await world.ledger.read { try VaultRotation.vault(of: oldKey, in: $0) } == nil)
            await #expect(throws: VaultError.self) { _ = try await Self.open(place, world, with: old) }
            let new = try #require(try await world.ledger.read { try VaultRotation.vault(of: Self.newKey, in: $0) })
            #expect(try await Self.open(place, world, with: new) == before)
            #expect(new.keyedHash([1, 2], context: "x") == old.keyedHash([1, 2], context: "x"))
            #expect(Vault(key: Self.newKey).keyedHash([1, 2], context: "x") != old.keyedHash([1, 2], context: "x"))

            let record = try #require(try await Self.record(world))
            let reply = try new.open(record.reply, context: record.context)
            #expect(String(decoding: reply, as: UTF8.self) == place.first.text)
            #expect(throws: VaultError.self) { try old.open(record.reply, context: record.context) }
        }
    }

    @Test func `a rotation that does not end leaves everything as it was`() async throws {
        try await ServerWorld.run { world in
            let place = try await Place(world)
            let (vault, now) = (world.services.vault, world.clock.now)
            await #expect(throws: Crash.self) {
                try await world.ledger.write { transaction in
                    _ = try VaultRotation.run(in: transaction, from: vault, to: Self.newKey, at: now)
                    throw Crash()
                }
            }
            #expect(try await Self.open(place, world, with: vault).contains("top-secret"))
            #expect(try await world.ledger.read { try VaultRotation.vault(of: Self.newKey, in: $0) } == nil)

            _ = try await Self.rotate(world)
            // Whoever still has the vault of before must not seal the ledger once more from it.
            await #expect(throws: VaultError.self) {
                _ = try await Self.rotate(world, to: [UInt8](repeating: 43, count: 32))
            }
        }
    }

    private struct Crash: Error {}

    /// The sealed reply of the request that had a key, and what it is sealed for.
    private static func record(_ world: ServerWorld) async throws -> (reply: [UInt8], context: String)? {
        let tokens = try await world.ledger.read { try $0.adminTokens(within: .platform) }
        return try await world.ledger.read { reader in
            for token in tokens {
                let ticket = IdempotencyTicket(
                    caller: Caller.platformAdmin(token).key,
                    method: "POST",
                    path: "/v1/dealers",
                    key: "once",
                    payloadHash: []
                )
                let found = try reader.idempotencyRecord(
                    caller: ticket.caller,
                    method: ticket.method,
                    path: ticket.path,
                    key: ticket.key
                )
                if let found { return (found.sealedReply, ticket.sealingContext) }
            }
            return nil
        }
    }
}
