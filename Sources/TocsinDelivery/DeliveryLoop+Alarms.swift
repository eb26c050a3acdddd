import Logging
import TocsinCore
import TocsinEngine
import TocsinLedger

/// How alarms are looked for in front of a log's reading, so that they pass a backlog after a restart too.
///
/// A search looks at two thousand entries. The endpoints have their turns, one search at a time, and between two of them the
/// ledger rests: nobody's reading, and no start with a long backlog, waits for it.
extension DeliveryLoop {
    /// After a search the ledger rests so many times as long as that took.
    private static let restsPerSearch = 4
    /// A clock that was set must not end the searching.
    private static let restMaximum: Duration = .seconds(1)

    mutating func seekNext() {
        guard !isSeeking, !isStopping else { return }
        while !seekers.isEmpty {
            let index = seekers.removeFirst()
            guard let slot = slots[index], case let search?? = scheduler.update(index, { $0.nextSearch() }) else {
                continue
            }
            isSeeking = true
            jobs.append(searchJob(search, for: slot))
            return
        }
    }

    private func searchJob(_ search: EndpointConsumer.AlarmSearch, for slot: Slot) -> Job {
        let (outside, index, endpoint) = (outside, slot.index, slot.endpoint)
        return {
            let begunAt = outside.clock.now
            do {
                let answer = try await outside.ledger.read { try AlarmAnswer(search, for: endpoint, $0) }
                outside.post(.alarmsSought(slot: index, search, .success(answer)))
            } catch {
                outside.post(.alarmsSought(slot: index, search, .failure(error)))
            }
            let took = outside.clock.now - begunAt
            if took > .zero {
                let rest = min(took * Self.restsPerSearch, Self.restMaximum)
                try? await outside.clock.sleep(until: outside.clock.now + rest)
            }
            outside.post(.seekNext)
        }
    }

    mutating func alarmsWereSought(
        _ slot: Int,
        _ search: EndpointConsumer.AlarmSearch,
        _ answer: Result<AlarmAnswer, any Error>
    ) {
        switch answer {
        case .success(let answer):
            tell(slot, at: now) {
                $0.sought(search, events: answer.events, searchedTo: answer.searchedTo, rows: answer.rows, at: $1)
            }
        case .failure(let error):
            outside.logger.error("the log cannot be searched, trying again", metadata: ["ledger.error": "\(error)"])
            tell(slot, at: now) { $0.seekFailed(search, at: $1) }
        }
    }
}

extension AlarmAnswer {
    fileprivate init(_ search: EndpointConsumer.AlarmSearch, for endpoint: Endpoint, _ reader: any LedgerReader) throws
    {
        var filter = EventFilter(types: search.types)
        switch endpoint.owner {
        case .app(let app, _): filter.appID = app
        case .partner(let partner): filter.partnerID = partner
        }
        let found = try reader.events(of: search.dealerID, after: search.after, filter: filter, limit: search.limit)
        events = found.events
        searchedTo = found.searchedTo
        if search.asksForRows { rows = try reader.known(events, to: endpoint.id) }
    }
}
