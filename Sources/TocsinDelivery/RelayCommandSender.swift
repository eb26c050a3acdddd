import NIOCore
import TocsinCore
import TocsinEngine

/// Posts commands to the bridges of relays (decisions §7).
///
/// Signature, headers and egress rules are those of every webhook. Nothing of it is a delivery: there is no entry in the
/// attempts log, and nothing to resend.
package final class RelayCommandSender: RelayActuator {
    /// How long a bridge may take to answer.
    package static let patience: Duration = .seconds(5)

    private let sender: any AttemptSender
    private let vault: Vault
    private let policy: EgressPolicy
    private let clock: any WallClock

    /// Wires the sender.
    ///
    /// - Parameters:
    ///   - sender: Makes the request; its own time limit should be ``patience``.
    ///   - vault: Opens the secrets.
    ///   - policy: What URLs may be sent to.
    ///   - clock: Tells the time of the signature.
    package init(sender: any AttemptSender, vault: Vault, policy: EgressPolicy, clock: any WallClock) {
        self.sender = sender
        self.vault = vault
        self.policy = policy
        self.clock = clock
    }

    package func stop() async { await sender.stop() }

    package func carryOut(_ command: RelayCommand, on relay: Relay) async throws(RelayActuatorError) {
        let outcome = await sender.send(try request(command, relay))
        if let failure = outcome.failure {
            throw RelayActuatorError(failure.code.rawValue, failure.sentence)
        }
        guard outcome.isSuccess else {
            let status = outcome.status.map(String.init) ?? "nothing"
            throw RelayActuatorError("refused", "The bridge answered \(status).")
        }
    }

    private func request(_ command: RelayCommand, _ relay: Relay) throws(RelayActuatorError) -> WebhookRequest {
        guard case .webhook(let text, let sealed) = relay.actuator else {
            throw RelayActuatorError("no_bridge", "The relay has no bridge.")
        }
        let url: EndpointURL
        do throws(EndpointURLError) {
            url = try EndpointURL(text, policy: policy)
        } catch {
            throw RelayActuatorError(WebhookFailure.Code.refusedURL.rawValue, "\(error.sentence) \(error.remedy)")
        }
        let now = clock.now
        let timestamp = String(now.secondsSinceEpoch)
        let body = command.body
        let signer = Signer(secrets: [try secret(sealed, of: relay)])
        guard let signatures = signer.sign(id: command.id.text, timestamp: timestamp, body: body, at: now) else {
            throw Self.unusableSecret
        }
        let headers = DeliveryHeader.ofCommand(command.id.text, type: RelayCommand.type, timestamp)
        return WebhookRequest(url: url, headers: headers + signatures.headers, body: ByteBuffer(bytes: body))
    }

    private func secret(_ sealed: String, of relay: Relay) throws(RelayActuatorError) -> String {
        do throws(VaultError) {
            return try RelaySecret.opened(sealed, of: relay.id, vault: vault)
        } catch {
            throw Self.unusableSecret
        }
    }

    private static let unusableSecret = RelayActuatorError(
        WebhookFailure.Code.invalidRequest.rawValue,
        "The secret of the bridge cannot be opened; set it again."
    )
}
