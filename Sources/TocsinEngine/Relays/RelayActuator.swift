import Foundation
import Logging
import TocsinCore

/// Takes commands to whatever switches relays.
package protocol RelayActuator: Sendable {
    /// Returns once somebody else answers for the command.
    ///
    /// Called again with the same command after a failure, and after a crash even if it had returned.
    func carryOut(_ command: RelayCommand, on relay: Relay) async throws(RelayActuatorError)

    /// Ends what is under way; nothing is asked afterwards.
    func stop() async
}

/// Why a command did not reach its relay.
package struct RelayActuatorError: Error, Hashable, Sendable {
    /// A stable word, for logs and metrics.
    package var code: String
    package var sentence: String

    package init(_ code: String, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }
}

/// Tells the log instead of a relay, where no bridge is set.
package struct LogRelayActuator: RelayActuator {
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    package func carryOut(_ command: RelayCommand, on relay: Relay) async throws(RelayActuatorError) {
        logger.notice(
            "a relay that no bridge is set for",
            metadata: [
                "relay.id": "\(command.relayID)", "site.id": "\(command.siteID)", "command": "\(command.word)",
                "command.id": "\(command.id)",
            ]
        )
    }

    package func stop() async {}
}

/// What a bridge's requests are signed with.
package enum RelaySecret {
    /// What a relay's secret is sealed for; a sealed value moved to another relay does not open.
    package static func vaultContext(of relay: RelayID) -> String { "relay-secret/\(relay)" }

    /// The secret as a relay's settings keep it.
    package static func sealed(_ secret: String, of relay: RelayID, vault: Vault) throws(VaultError) -> String {
        Data(try vault.seal(secret.utf8, context: vaultContext(of: relay))).base64EncodedString()
    }

    /// Opens what ``sealed(_:of:vault:)`` made.
    package static func opened(_ sealed: String, of relay: RelayID, vault: Vault) throws(VaultError) -> String {
        guard let bytes = Data(base64Encoded: sealed) else { throw VaultError(reason: "it is not base64") }
        return String(decoding: try vault.open(Array(bytes), context: vaultContext(of: relay)), as: UTF8.self)
    }
}
