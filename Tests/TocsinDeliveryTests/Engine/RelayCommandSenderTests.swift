import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinTestSupport

/// Commands to relays as requests to their bridges.
@Suite struct RelayCommandSenderTests {
    private static let start = Instant(secondsSinceEpoch: 1_790_000_000)
    private static let vault = Vault(key: Array(repeating: 7, count: Vault.keyLength))
    private static let relayID = RelayID(stored: "rel_1")
    private static let secret = WebhookSecret.make(SeededRandomness(seed: 1))

    private static let command = RelayCommand(
        id: RelayCommandID(stored: "cmd_1"),
        relayID: relayID,
        deviceID: nil,
        siteID: SiteID(stored: "site_1"),
        dealerID: DealerID(stored: "dlr_1"),
        order: .off,
        createdAt: start
    )

    private static func relay(
        _ url: String = "https://bridge.example.test/relay",
        sealedFor id: RelayID = relayID
    ) throws -> Relay {
        Relay(
            id: relayID,
            name: "Siren",
            actuator: .webhook(url: url, sealedSecret: try RelaySecret.sealed(secret, of: id, vault: vault))
        )
    }

    private static func sender(_ attempts: ScriptedSender) -> RelayCommandSender {
        RelayCommandSender(
            sender: attempts,
            vault: vault,
            policy: EgressPolicy(allowPrivate: false),
            clock: ManualClock(at: start)
        )
    }

    private static func failure(_ relay: Relay, _ attempts: ScriptedSender) async -> String? {
        do throws(RelayActuatorError) {
            try await sender(attempts).carryOut(command, on: relay)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `a command is signed as every webhook is`() async throws {
        let attempts = ScriptedSender()
        #expect(await Self.failure(try Self.relay(), attempts) == nil)

        let sent = try #require(attempts.sent.first)
        #expect(sent.url == "https://bridge.example.test/relay")
        #expect(sent.body == String(decoding: Self.command.body, as: UTF8.self))
        #expect(sent.headers["webhook-id"] == "cmd_1")
        #expect(sent.headers["X-CHeKT-Event-Type"] == "relay.command")
        let expected = try #require(
            Signer(secrets: [Self.secret]).sign(
                id: "cmd_1",
                timestamp: String(Self.start.secondsSinceEpoch),
                body: Self.command.body,
                at: Self.start
            )
        )
        #expect(sent.headers["X-CHeKT-Signature"] == expected.chekt)
        #expect(sent.headers["webhook-signature"] == expected.standard)
    }

    @Test func `whatever is no 2xx is a failure`() async throws {
        for (answer, code) in [
            (ScriptedSender.Answer.status(500), "refused"), (.status(404), "refused"), (.status(302), "refused"),
            (.noAnswer, "connect"),
        ] {
            let attempts = ScriptedSender()
            attempts.answer { _, _ in answer }
            #expect(await Self.failure(try Self.relay(), attempts) == code)
        }
    }

    @Test func `nothing is sent where it must not go, or cannot be signed`() async throws {
        let attempts = ScriptedSender()
        #expect(await Self.failure(try Self.relay("http://169.254.169.254/"), attempts) == "refused_url")
        #expect(
            await Self.failure(try Self.relay(sealedFor: RelayID(stored: "rel_2")), attempts) == "invalid_request"
        )
        #expect(await Self.failure(Relay(id: Self.relayID, name: "Siren"), attempts) == "no_bridge")
        #expect(attempts.sent.isEmpty)
    }
}
