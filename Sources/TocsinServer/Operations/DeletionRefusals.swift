import TocsinCore
import TocsinEngine
import TocsinJSON

extension APIError {
    /// Refuses a deletion that something stands against (decisions §11).
    static func refuse(_ obstacles: [DeletionObstacle]) throws(APIError) {
        guard let first = obstacles.first else { return }
        switch first {
        case .inAlarm(let partition, let name):
            throw APIError(
                .siteInAlarm,
                "\(name) is in alarm. Resolve that first, or delete with ?force=true.",
                details: ["partition_id": .string(partition.text)]
            )
        case .unresolvedAlarm(let number, let site):
            throw APIError(
                .siteInAlarm,
                "\(site) has the alarm \(number). Resolve that first, or delete with ?force=true.",
                details: ["alarm_id": .string(number.description)]
            )
        case .notDisarmed(let partition, let name, let state):
            throw APIError(
                .siteArmed,
                "\(name) is not disarmed. Disarm it first, or delete with ?force=true.",
                details: ["partition_id": .string(partition.text), "state": .string(state)]
            )
        case .undelivered(let endpoint, _):
            throw APIError(
                .undeliveredEvents,
                "Events are not delivered to an endpoint yet. Wait, or delete with ?force=true.",
                details: ["endpoint_id": .string(endpoint.text)]
            )
        case .relay(let relay, let name, let clause):
            throw APIError(
                .deletionRefused,
                "The relay \(name) \(clause). Deactivate it and wait for that to be delivered, or delete with ?force=true.",
                details: ["relay_id": .string(relay.text)]
            )
        case .hasSites:
            throw APIError(.partnerHasSites, "The partner has sites. Delete them first, or revoke the partner.")
        }
    }
}
