import TocsinCore

/// Where the ledger keeps a value that the vault sealed; with its place a value's sealing context is known.
package enum SealedPlace: Hashable, Sendable {
    case endpointSecret(EndpointID)
    case endpointHeader(EndpointID, name: String)
    case endpointCertificate(EndpointID)
    /// The reply that an idempotency key repeats.
    case storedReply(IdempotencyTicketName)
    /// A bridge's secret, as the text that the relay's settings have.
    case relaySecret(RelayID)
}

/// Which request a stored reply belongs to.
package struct IdempotencyTicketName: Hashable, Sendable {
    package var caller: String
    package var method: String
    package var path: String
    package var key: String

    package init(caller: String, method: String, path: String, key: String) {
        self.caller = caller
        self.method = method
        self.path = path
        self.key = key
    }
}
