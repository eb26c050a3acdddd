import TocsinCore
import TocsinLedger

/// What the writer says of a decision; its events' bodies are finished by whoever waits for it, beside the writer.
enum WrittenDecision: Sendable {
    /// It is stored; its first event has this sequence.
    case committed(EncodedDecision, first: Int64, version: Int64)
    /// There is nothing left to be finished.
    case without(CommitOutcome)

    var outcome: CommitOutcome {
        switch self {
        case .without(let outcome): return outcome
        case .committed(let encoded, let first, let version):
            let events = encoded.events.enumerated().compactMap { index, event in
                let sequence = first + Int64(index)
                let body = event.body?.bytes(sequence: sequence)
                return body.map { LoggedEvent(event.head, sequence: sequence, createdAt: encoded.at, body: $0) }
            }
            return .committed(events: events, version: version)
        }
    }
}
