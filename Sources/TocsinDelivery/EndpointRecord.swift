import TocsinCore
import TocsinLedger

/// An endpoint with everything that its deliveries depend on, as the ledger has it at one moment.
struct EndpointRecord: Sendable {
    var endpoint: Endpoint
    var subscription: Subscription
    var secrets: [EndpointSecret]
    /// Per dealer the cursor, and how far the log reaches.
    var lanes: [(cursor: EventPosition, tail: Int64)]
    /// When the earliest row of the retry table is due.
    var nextDue: Instant?
    /// What a task makes an endpoint wait with that asks for order.
    var hold = Hold.none
    /// The ledger took no writes when something had to be set aside first: it is to be read again.
    var isUnsettled = false

    enum Hold: Sendable {
        case none
        /// What is newer than the task stays in the log.
        case fresh
        /// Nothing is sent until the task has set aside what waits for a retry.
        case all
    }

    /// Reads what belongs to an endpoint; `tails` remembers how far logs reach within one reading.
    init(_ endpoint: Endpoint, in reader: some LedgerReader, tails: inout [DealerID: Int64]) throws {
        self.endpoint = endpoint
        subscription = Subscription(endpointID: endpoint.id, owner: endpoint.owner, types: endpoint.events)
        switch endpoint.owner {
        case .app(let id, let dealer):
            let app = try reader.app(id, within: .dealer(dealer))
            subscription.scopes = app?.scopes ?? []
            subscription.isRevoked = app?.isRevoked ?? true
        case .partner(let id):
            subscription.isRevoked = try reader.partner(id, within: .platform)?.isRevoked ?? true
        }
        secrets = try reader.secrets(of: endpoint.id)
        nextDue = try reader.nextDue(of: endpoint.id)
        if endpoint.ordering == .site, let task = try reader.runningTask(of: endpoint.id), task.holdsFresh {
            hold = task.phase == .starting ? .all : .fresh
        }
        lanes = []
        for cursor in try reader.cursors(of: endpoint.id) {
            let tail = try tails[cursor.dealerID] ?? reader.lastSequence(of: cursor.dealerID)
            tails[cursor.dealerID] = tail
            lanes.append((cursor: cursor, tail: tail))
        }
    }

    /// Reads endpoints by id; one that does not exist is nil.
    static func read(_ ids: [EndpointID], from ledger: any Ledger) async throws -> [(EndpointID, EndpointRecord?)] {
        var records = try await ledger.read { reader in
            var tails: [DealerID: Int64] = [:]
            return try ids.map { id in
                (id, try reader.endpoint(id, within: .platform).map { try record(of: $0, in: reader, &tails) })
            }
        }
        for index in records.indices {
            if let record = records[index].1 { records[index].1 = await setAside(record, in: ledger) }
        }
        return records
    }

    /// Reads a page of all endpoints, by id.
    static func page(after id: EndpointID?, limit: Int, from ledger: any Ledger) async throws -> [EndpointRecord] {
        let records = try await ledger.read { reader in
            var tails: [DealerID: Int64] = [:]
            return try reader.allEndpoints(after: id, limit: limit).map { try record(of: $0, in: reader, &tails) }
        }
        var found: [EndpointRecord] = []
        for record in records {
            if let record = await setAside(record, in: ledger) { found.append(record) }
        }
        return found
    }

    /// Sets aside what waits for a retry beyond where the endpoint's task has come to, and reads it anew.
    ///
    /// Order may have been asked for, given up and asked for again while the task was beginning: then attempts have failed
    /// of which it did not know. What lies beyond its place has its turn when it comes by.
    private static func setAside(_ record: EndpointRecord, in ledger: any Ledger) async -> EndpointRecord? {
        guard record.hold == .fresh else { return record }
        let id = record.endpoint.id
        let settled = try? await ledger.write { transaction -> EndpointRecord? in
            guard let endpoint = try transaction.endpoint(id, within: .platform) else { return nil }
            if endpoint.ordering == .site, let task = try transaction.runningTask(of: id), task.phase == .placing {
                for lane in task.lanes {
                    let place = EventPosition(dealerID: lane.dealerID, sequence: lane.position)
                    try transaction.setAsidePending(of: id, beyond: place)
                }
            }
            return try alone(endpoint, in: transaction)
        }
        if let settled { return settled }
        // Nobody may wait for a ledger that takes no writes; but nothing is sent until it has taken this one.
        var unsettled = record
        unsettled.hold = .all
        unsettled.isUnsettled = true
        return unsettled
    }

    /// Reads what belongs to one endpoint.
    static func alone(_ endpoint: Endpoint, in reader: any LedgerReader) throws -> EndpointRecord {
        var tails: [DealerID: Int64] = [:]
        return try record(of: endpoint, in: reader, &tails)
    }

    /// Opens the reader's existential once.
    private static func record(
        of endpoint: Endpoint,
        in reader: any LedgerReader,
        _ tails: inout [DealerID: Int64]
    ) throws -> EndpointRecord {
        try EndpointRecord(endpoint, in: reader, tails: &tails)
    }

    /// Whether its machine may run.
    var isActive: Bool { endpoint.isEnabled && hold != .all }

    var settings: EndpointConsumer.Settings {
        var settings = EndpointConsumer.Settings(
            subscription: subscription,
            isEnabled: isActive,
            ordering: endpoint.ordering,
            concurrency: endpoint.concurrency,
            ratePerSecond: endpoint.ratePerSecond,
            schedule: RetrySchedule(ownSteps: endpoint.retrySchedule?.map { .seconds($0) })
        )
        settings.holdsFresh = hold == .fresh
        return settings
    }

    var consumer: EndpointConsumer {
        EndpointConsumer(
            settings: settings,
            failingSince: endpoint.failingSince,
            lanes: lanes,
            nextDue: nextDue,
            isGranted: true
        )
    }
}
