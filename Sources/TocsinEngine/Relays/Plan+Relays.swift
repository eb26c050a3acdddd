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
            let id = emit(.relayActivated(activated), in: effect.partitionID)
            events.append(id)
            details["duration_seconds"] = JSON(activated.durationSeconds)
            details["event_id"] = .string(id.text)
        }
        let rule: ScheduleID? = if case .schedule(let id)? = effect.activated?.trigger { id } else { nil }
        var entry = entry(
            ofEffect: effect.action,
            on: effect.relayID.text,
            effect.explanation,
            request,
            details: details
        )
        if let rule { entry.actor = AuditEntry.Actor(.schedule, rule.text) }
        decision.audit.append(entry)
        return events
    }
}
