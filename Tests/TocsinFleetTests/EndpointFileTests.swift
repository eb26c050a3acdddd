import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinTestSupport

@testable import TocsinFleet

/// Signatures and client certificates of endpoints in the fleet file.
struct EndpointFileTests {
    private static func file(_ members: String) -> String {
        """
        dealers:
          - name: Acme Security
            apps:
              - name: hooks
                scopes: [events:read, sites:read]
                endpoints:
                  - url: https://example.test/hook
                    events: [alarm.created]
        \(indented(members, by: 12))

        """
    }

    private static func indented(_ text: String, by count: Int) -> String {
        text.split(separator: "\n").map { String(repeating: " ", count: count) + $0 }.joined(separator: "\n")
    }

    private static func certificate(_ chain: String, _ key: String) -> String {
        """
        client_certificate:
          certificate: |
        \(indented(chain, by: 4))
          private_key: |
        \(indented(key, by: 4))
        """
    }

    /// The same in quotes, where YAML's escapes stand for any character.
    private static func quoted(_ chain: String, _ key: String) -> String {
        let parts = [chain, key].map { "\"" + $0.replacing("\n", with: "\\n") + "\"" }
        return "client_certificate: {certificate: \(parts[0]), private_key: \(parts[1])}"
    }

    private static let full = file("signature: v1a\n" + certificate(SampleCertificates.chain, SampleCertificates.key))
    private static let fingerprint = "24f9d539b6dceb961580c06649ff3e0ad2dfde80c4ac1ab1fb98fe081e3b8d19"

    private static func endpoint(_ world: World) async throws -> Endpoint {
        try await world.ledger.read { reader in
            let dealer = try #require(try reader.dealer(named: "Acme Security", within: .platform))
            let apps = try reader.apps(within: .dealer(dealer.id), page: PageRequest()).items
            let app = try #require(apps.first)
            return try #require(try reader.endpoints(of: .app(app.id, of: dealer.id)).first)
        }
    }

    @Test func `an endpoint of the file gets its key pair and its certificate, both sealed`() async throws {
        let world = try World()
        try await world.apply(Self.full)
        let endpoint = try await Self.endpoint(world)
        #expect(endpoint.signature == .v1a)
        #expect(endpoint.publicKeys.count == 1)
        let shown = try #require(endpoint.clientCertificate)
        #expect(shown.fingerprint == Self.fingerprint)
        let place = WebhookSecret.vaultContext(ofCertificateOf: endpoint.id)
        let text = String(decoding: try world.vault.open(shown.sealed, context: place), as: UTF8.self)
        #expect(text.contains(SampleCertificates.key) && text.contains(SampleCertificates.chain))
        let secrets = try await world.ledger.read { try $0.secrets(of: endpoint.id) }
        #expect(secrets.count == 2)
        let pair = try #require(secrets.first { $0.publicKey != nil })
        let opened = try world.vault.open(pair.sealed, context: WebhookSecret.vaultContext(of: endpoint.id))
        #expect(SigningKey.privateKey(of: String(decoding: opened, as: UTF8.self)) != nil)
        let verdict = try await world.apply(Self.full)
        #expect(verdict.changes.isEmpty && verdict.warnings.isEmpty)
    }

    @Test func `what the file changes of them is a line of the difference, and null takes the certificate away`()
        async throws
    {
        let world = try World()
        try await world.apply(Self.file(""))
        let plan = try await world.apply(Self.full, FleetOptions(isDryRun: true))
        let name = "Acme Security / hooks / https://example.test/hook"
        #expect(plan.changes.map(\.description) == ["~ endpoint \(name): signature, client_certificate"])
        #expect(try await Self.endpoint(world).clientCertificate == nil)
        #expect(try await world.apply(Self.full).changes == plan.changes)
        let keys = try await Self.endpoint(world).publicKeys
        #expect(keys.count == 1)

        #expect(try await world.apply(Self.file("")).changes.isEmpty, "what is left out stays")
        let gone = try await world.apply(Self.file("signature: v1\nclient_certificate: null"))
        #expect(gone.changes.map(\.members) == [["signature", "client_certificate"]])
        #expect(try await Self.endpoint(world).clientCertificate == nil)
        try await world.apply(Self.file("signature: v1a"))
        #expect(try await Self.endpoint(world).publicKeys == keys, "a key pair is kept for the next time")
    }

    @Test func `an export shows the certificate by its fingerprint, never a key, and applies as nothing`() async throws
    {
        let world = try World()
        try await world.apply(Self.full)
        let text = FleetYAML.text(try await world.service.export())
        #expect(text.contains("signature: v1a") && text.contains(Self.fingerprint))
        #expect(!text.contains("BEGIN") && !text.contains("whsk_") && !text.contains("whpk_"))
        let again = try await world.apply(text)
        #expect(again.changes.isEmpty && again.warnings.isEmpty)

        let other = try World()
        let elsewhere = try await other.apply(text)
        #expect(try await Self.endpoint(other).clientCertificate == nil)
        #expect(try await Self.endpoint(other).publicKeys.count == 1)
        let place = "dealers[0].apps[0].endpoints[0].client_certificate.fingerprint"
        #expect(elsewhere.warnings.map(\.place.path) == [place])
        #expect(elsewhere.warnings.first?.message.hasSuffix("give “certificate” and “private_key”") == true)
    }

    @Test(
        arguments: [
            ("signature: ed25519", "signature", "use one of v1, v1a"),
            (
                certificate("nonsense", SampleCertificates.key), "client_certificate.certificate",
                "must be 1 to 10 certificates in PEM"
            ),
            (
                certificate(SampleCertificates.chain, "nonsense"), "client_certificate.private_key",
                "without a passphrase"
            ),
            (
                certificate(SampleCertificates.chain, SampleCertificates.expiredKey), "client_certificate.private_key",
                "does not belong to the certificate"
            ),
            (
                certificate(SampleCertificates.expiredChain, SampleCertificates.expiredKey),
                "client_certificate.certificate", "give one that is valid"
            ),
            ("client_certificate: {}", "client_certificate", "both in PEM, or null to take it away"),
            ("client_certificate: {private_key: x}", "client_certificate", "“certificate” is missing"),
            (
                "client_certificate: {certificate: [], private_key: x}", "client_certificate.certificate",
                "must be a text"
            ),
            (
                quoted(SampleCertificates.chain + "\\0", SampleCertificates.key), "client_certificate.certificate",
                "holds the control character U+0000: take it out"
            ),
            (
                quoted(SampleCertificates.chain, SampleCertificates.key + "\\n\\e"), "client_certificate.private_key",
                "holds the control character U+001B: take it out"
            ),
            ("client_certificate: text", "client_certificate", "must be a mapping"),
            ("client_certificate: {key: x}", "client_certificate.key", "unknown member"),
        ]
    )
    func `what cannot be is refused by its member with a remedy, and leaves nothing behind`(
        members: String,
        member: String,
        remedy: String
    ) async throws {
        let world = try World()
        let error = try await #require(throws: FleetError.self) { try await world.apply(Self.file(members)) }
        let problem = try #require(error.problems.first { $0.place.path.hasSuffix(".endpoints[0].\(member)") })
        #expect(problem.message.contains(remedy))
        #expect(!error.description.contains("BEGIN"))
        #expect(try await world.ledger.read { try $0.dealers(within: .platform, page: PageRequest()).items.isEmpty })
    }

    @Test func `a certificate that has expired since it was given is told, and the file applies`() async throws {
        let world = try World()
        try await world.apply(Self.full)
        let late = FleetService(
            ledger: world.ledger,
            vault: world.vault,
            clock: ManualClock(at: World.now + .seconds(101 * 365 * 86_400)),
            randomness: SeededRandomness(seed: 12),
            checkURL: { _ in nil }
        )
        let options = FleetOptions()
        let outcome = try await late.apply(Array(Self.full.utf8), options: options, origin: FleetOrigin(actor: .system))
        #expect(outcome.changes.isEmpty)
        #expect(outcome.warnings.map(\.message) == ["expired at 2126-10-28T14:00:00Z; give one that is valid"])
    }
}
