import TocsinJSON

/// The place that the commit gives to an event: what its body cannot know before.
package struct EventPlace: Sendable {
    package var id: EventID
    /// The event's number in its dealer's log, from 1, without gaps.
    package var sequence: Int64
    /// When it was committed.
    package var createdAt: Instant
    /// The numbers of the alarms of incidents that events refer to; the commit gives those of new ones.
    package var incidentAlarms: [IncidentID: AlarmNumber]

    package init(
        id: EventID,
        sequence: Int64,
        createdAt: Instant,
        incidentAlarms: [IncidentID: AlarmNumber] = [:]
    ) {
        self.id = id
        self.sequence = sequence
        self.createdAt = createdAt
        self.incidentAlarms = incidentAlarms
    }

    /// The number of an alarm; none only for an incident whose alarm is gone from the ledger.
    package func number(of alarm: AlarmReference) -> AlarmNumber? {
        switch alarm {
        case .existing(let number): number
        case .incident(let id): incidentAlarms[id]
        }
    }

    /// The number of an alarm as it stands on the wire; `A-0` for one that is gone.
    func text(of alarm: AlarmReference) -> String { number(of: alarm)?.description ?? "A-0" }
}

/// The catalogue's envelope around a payload: `id`, `type`, `created_at`, `data` (decisions §8).
enum EventEnvelope {
    /// The members before `data`.
    static let members: [EventMember<EventType>] = [
        .placed("id", "Names the event, the same on every attempt.", example: "evt_2hKqx9") { $0.id },
        .required("type", "What it is.") { $0 },
        .placed("created_at", "When it was committed.", example: "2026-05-26T10:21:34Z") { $0.createdAt },
    ]

    /// The member that holds the payload.
    static let data = "data"
    static let dataName = JSONName(data)
}

extension JSONWriter {
    /// Writes a payload in its envelope.
    mutating func envelope(_ type: EventType, _ place: EventPlace, _ payload: some EventPayload) {
        object { writer in
            writer.members(EventEnvelope.members, of: type, at: place)
            writer.name(EventEnvelope.dataName)
            payload.write(at: place, to: &writer)
        }
    }
}

extension EventBody {
    /// The bytes that every reader and receiver gets, made once.
    package func encoded(at place: EventPlace) -> [UInt8] {
        // Longer than nearly all bodies, so that none of them has to grow its buffer.
        var writer = JSONWriter(reserving: 384)
        switch self {
        case .armingStateChanged(let body): body.write(at: place, to: &writer)
        case .partitionArmed(let body): writer.envelope(type, place, body)
        case .partitionDisarmed(let body): writer.envelope(type, place, body)
        case .armingFailed(let body): writer.envelope(type, place, body)
        case .armingWarning(let body): writer.envelope(type, place, body)
        case .armingException(let body): writer.envelope(type, place, body)
        case .scheduleFailed(let body): writer.envelope(type, place, body)
        case .alarmCreated(let body): writer.envelope(type, place, body)
        case .alarmAcknowledged(let body): writer.envelope(type, place, body)
        case .alarmDispatched(let body): writer.envelope(type, place, body)
        case .alarmResolved(let body): writer.envelope(type, place, body)
        case .alarmEscalated(let body): writer.envelope(type, place, body)
        case .alarmActivity(let body): writer.envelope(type, place, body)
        case .alarmAnnotated(let body): writer.envelope(type, place, body)
        case .verificationRequested(let body): writer.envelope(type, place, body)
        case .deviceOnline(let body): writer.envelope(type, place, body)
        case .deviceOffline(let body): writer.envelope(type, place, body)
        case .deviceFirmwareUpdated(let body): writer.envelope(type, place, body)
        case .snapshotCreated(let body): writer.envelope(type, place, body)
        case .relayActivated(let body): writer.envelope(type, place, body)
        case .syncFailed(let body): writer.envelope(type, place, body)
        case .syncLate(let body): writer.envelope(type, place, body)
        case .syncOverdue(let body): writer.envelope(type, place, body)
        case .endpointDisabled(let body), .endpointFailing(let body): writer.envelope(type, place, body)
        case .testPing(let body): writer.envelope(type, place, body)
        }
        return writer.bytes
    }
}
