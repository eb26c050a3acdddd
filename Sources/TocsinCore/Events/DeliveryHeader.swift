/// A header that Tocsin puts on every delivery beside the endpoint's own (decisions §8).
package enum DeliveryHeader: String, CaseIterable, Sendable {
    case signature = "X-CHeKT-Signature"
    case timestamp = "X-CHeKT-Timestamp"
    case eventID = "X-CHeKT-Event-Id"
    case eventType = "X-CHeKT-Event-Type"
    case deliveryID = "X-CHeKT-Delivery-Id"
    case sequence = "X-CHeKT-Sequence"
    case dealerID = "X-CHeKT-Dealer-Id"
    case parked = "X-CHeKT-Parked"
    case webhookID = "webhook-id"
    case webhookTimestamp = "webhook-timestamp"
    case webhookSignature = "webhook-signature"

    /// What it says, in one sentence.
    package var summary: String {
        switch self {
        case .signature:
            "`v1=` and the hexadecimal HMAC-SHA256 of `{timestamp}.{body}`; several, comma-separated, while secrets overlap."
        case .timestamp: "Unix seconds of this attempt."
        case .eventID: "The event's `id`."
        case .eventType: "The event's type."
        case .deliveryID: "The delivery of this event to this endpoint, the same on every attempt."
        case .sequence: "The event's number in its dealer's log."
        case .dealerID: "To a partner's endpoint: whose log it is."
        case .parked:
            "With `ordering: site`: the `id` of an event of the same site that was refused again and again, and may come later."
        case .webhookID: "The event's `id`, as Standard Webhooks wants it."
        case .webhookTimestamp: "Unix seconds of this attempt, as Standard Webhooks wants it."
        case .webhookSignature:
            "`v1,` and the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`; `v1a,` with a public key."
        }
    }

    /// Whether it is there on a POST of the type: always, never, or only for some (nil).
    package func isSent(with type: EventType) -> Bool? {
        switch self {
        case .signature, .timestamp, .eventID, .eventType, .webhookID, .webhookTimestamp, .webhookSignature: true
        // A command is neither a delivery nor an entry of a log, and goes to partners only.
        case .deliveryID, .sequence: type.isLogged
        case .dealerID: type.isForPartners ? true : nil
        case .parked: type.isLogged ? nil : false
        }
    }
}
