import TocsinCore
import TocsinJSON
import TocsinLedger

extension Plan {
    /// Switches the relays on whose rules mean an alarm that was raised by request.
    mutating func switchRelays(for alarm: RelayAlarm, _ request: Request) {
        _ = take(machine.switchRelays(for: alarm, at: request.receivedAt), for: request)
    }

    /// Turns what follows for a relay into a command, an event and an audit entry; returns the event's id, if any.
    mutating func take(_ effect: RelayEffect, for request: Request?) -> [EventID] {
        var details = JSONObject()
        if let order = effect.order {
            let command = RelayCommand(
                id: tools.randomness.id(at: decision.at),
                relayID: effect.relayID,
                deviceID: effect.deviceID,
                siteID: decision.siteID,
                dealerID: decision.dealerID,
                order: order,
                createdAt: decision.at,
                nextAttemptAt: decision.at
            )
            decision.relayCommands.append(command)
            details["command_id"] = .string(command.id.text)
            if case .on(let until, _) = order { details["until"] = .string(until.rfc3339Milliseconds) }
        }
        var events: [EventID] = []
        if let activated = effect.activated {
            let id = tools.randomness.id(EventNoun.self, at: decision.at)
            decision.events.append(
                EventDraft(
                    id: id,
                    siteID: decision.siteID,
                    partitionID: effect.partitionID,
                    body: .relayActivated(activated)
                )
            )
            events.append(id)
            details["duration_seconds"] = JSON(activated.durationSeconds)
            details["event_id"] = .string(id.text)
        }
        let rule: ScheduleID? = if case .schedule(let id)? = effect.activated?.trigger { id } else { nil }
        decision.audit.append(
            AuditEntry(
                at: decision.at,
                dealerID: decision.dealerID,
                siteID: decision.siteID,
                actor: rule.map { AuditEntry.Actor(.schedule, $0.text) } ?? request?.actor ?? .system,
                action: effect.action,
                target: effect.relayID.text,
                explanation: effect.explanation,
                cause: request == nil ? "deadline" : "request",
                requestID: request?.requestID,
                traceID: request?.traceID,
                address: request?.address,
                details: details
            )
        )
        return events
    }
}
