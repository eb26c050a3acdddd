import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func deliveryTasks(
        within reach: Reach,
        filter: DeliveryTaskFilter,
        page request: PageRequest
    ) throws -> Page<DeliveryTask> {
        var condition = Endpoint.condition(reach)
        condition.add("endpoint_id = ?", ifPresent: filter.endpointID)
        condition.add("app_id = ?", ifPresent: filter.appID)
        condition.add("state = ?", ifPresent: filter.state?.rawValue)
        condition.add("id < ?", ifPresent: request.after)
        let limit = request.boundedLimit
        let found = try tasks("\(condition.sql) ORDER BY id DESC LIMIT ?", condition.values + [limit + 1])
        return Page(found, limit: limit) { $0.id.text }
    }

    func deliveryTask(_ id: DeliveryTaskID, within reach: Reach) throws -> DeliveryTask? {
        var condition = Endpoint.condition(reach)
        condition.add("id = ?", id)
        return try tasks(condition.sql, condition.values).first
    }

    func runningTask(of endpoint: EndpointID) throws -> DeliveryTask? {
        try tasks("WHERE endpoint_id = ? AND state = 'running'", [endpoint]).first
    }

    func runningTaskCount(beside owner: EndpointOwner) throws -> Int {
        let number =
            switch owner {
            case .app(_, let dealer):
                try database.number(
                    "SELECT count(*) FROM delivery_task WHERE state = 'running' AND dealer_id = ?",
                    [dealer]
                )
            case .partner(let partner):
                try database.number(
                    "SELECT count(*) FROM delivery_task WHERE state = 'running' AND partner_id = ?",
                    [partner]
                )
            }
        return Int(number)
    }

    func runningTasks() throws -> [DeliveryTaskID] {
        try database.all("SELECT id FROM delivery_task INDEXED BY delivery_task_running WHERE state = 'running'") {
            $0.id(0)
        }
    }

    func cancelledTasksWithRows() throws -> [DeliveryTask] {
        try tasks(
            """
            WHERE ended_at IS NOT NULL AND state <> 'done' AND EXISTS (SELECT 1 FROM exceptional_delivery
                WHERE task_id = delivery_task.id AND state IN ('retrying', 'waiting', 'parked')
                AND coalesce(task_prior, 'withdrawn') NOT IN ('retrying', 'waiting', 'parked')
                AND \(Remains.hasOwners))
            """,
            []
        )
    }

    func counts(of task: DeliveryTaskID) throws -> DeliveryTask.Counts {
        let counted = try database.all(
            "SELECT state, count(*) FROM exceptional_delivery WHERE task_id = ? AND \(Remains.hasOwners) GROUP BY state",
            [task]
        ) { (try $0.word(0, DeliveryState.self), $0.integer(1)) }
        return DeliveryTask.Counts(Dictionary(uniqueKeysWithValues: counted))
    }

    func waitingCount(of task: DeliveryTaskID) throws -> Int {
        Int(
            try database.number(
                """
                SELECT count(*) FROM exceptional_delivery WHERE task_id = ? AND state = 'waiting'
                    AND \(Remains.hasOwners)
                """,
                [task]
            )
        )
    }

    func failedDeliveries(
        to endpoint: EndpointID,
        in lane: DeliveryTask.Lane,
        from since: Instant,
        through until: Instant,
        limit: Int
    ) throws -> [ExceptionalDelivery] {
        try database.all(
            """
            \(ExceptionalDelivery.select) WHERE endpoint_id = ? AND dealer_id = ? AND sequence > ? AND sequence <= ?
                AND state IN ('dead', 'retrying') AND updated_at >= ? AND updated_at <= ?
                AND \(Remains.hasOwners) ORDER BY sequence LIMIT ?
            """,
            [endpoint, lane.dealerID, lane.position, lane.end, since, until, limit],
            read: ExceptionalDelivery.init
        )
    }

    private func tasks(_ condition: String, _ values: [any Bindable]) throws -> [DeliveryTask] {
        var found = try database.all("\(DeliveryTask.select) \(condition)", values) { try DeliveryTask($0) }
        for index in found.indices {
            found[index].lanes = try database.all(
                "SELECT dealer_id, position, last FROM delivery_task_lane WHERE task_id = ? ORDER BY dealer_id",
                [found[index].id]
            ) { DeliveryTask.Lane(dealerID: $0.id(0), position: $0.integer(1), end: $0.integer(2)) }
        }
        return found
    }
}

extension SQLiteTransaction {
    func insert(_ task: DeliveryTask) throws {
        try database.run(
            """
            INSERT INTO delivery_task (kind, endpoint_id, app_id, dealer_id, partner_id, since, until, types, site_id,
                rate, actor_kind, actor_id, created_at, missed, state, phase, reason, matched, delivered, dead,
                withdrawn, retrying, waiting, updated_at, ended_at, id)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            task.fixedValues + task.changingValues + [task.id]
        )
        for lane in task.lanes {
            try database.run(
                "INSERT INTO delivery_task_lane (position, last, task_id, dealer_id) VALUES (?, ?, ?, ?)",
                [lane.position, lane.end, task.id, lane.dealerID]
            )
        }
    }

    func update(_ task: DeliveryTask) throws {
        try database.run(
            """
            UPDATE delivery_task SET state = ?, phase = ?, reason = ?, matched = ?, delivered = ?, dead = ?,
                withdrawn = ?, retrying = ?, waiting = ?, updated_at = ?, ended_at = ? WHERE id = ?
            """,
            task.changingValues + [task.id]
        )
        for lane in task.lanes {
            try database.run(
                """
                UPDATE delivery_task_lane SET position = ?1 WHERE task_id = ?2 AND dealer_id = ?3 AND position <> ?1
                """,
                [lane.position, task.id, lane.dealerID]
            )
        }
    }

    func place(_ events: [LoggedEvent], for task: DeliveryTask, at now: Instant) throws -> Set<EventPosition> {
        guard !events.isEmpty else { return [] }
        let known = try PreparedStatement(
            database,
            "SELECT state FROM exceptional_delivery WHERE endpoint_id = ? AND dealer_id = ? AND sequence = ?"
        )
        // What succeeded at once has left attempts and no row.
        let tried = try PreparedStatement(
            database,
            """
            SELECT coalesce(max(number), 0), coalesce(max(succeeded), 0) FROM delivery_attempt
                WHERE event_id = ? AND endpoint_id = ?
            """
        )
        let insertion = try PreparedStatement(database, DeliveryTask.placing)
        var hastened: Set<EventPosition> = []
        for event in events {
            let state = try known.first(task.endpointID, event.dealerID, event.sequence) {
                try $0.word(0, DeliveryState.self)
            }
            if state?.isPending == true { hastened.insert(event.position) }
            var (attempts, prior) = (0, DeliveryState?.none)
            if state == nil, let made = try tried.first(event.id, task.endpointID, read: { ($0.int(0), $0.bool(1)) }) {
                attempts = made.0
                prior = made.1 ? .delivered : nil
            }
            try insertion.run(
                task.endpointID,
                event.dealerID,
                event.sequence,
                event.id,
                attempts,
                event.createdAt,
                now,
                task.id,
                prior?.rawValue
            )
        }
        return hastened
    }

    func setAsidePending(of endpoint: EndpointID, beyond place: EventPosition?) throws {
        var condition = Condition()
        condition.add("endpoint_id = ?", endpoint)
        condition.add("state IN ('retrying', 'waiting')")
        if let place { condition.add("dealer_id = ? AND sequence > ?", place.dealerID, place.sequence) }
        try database.run(
            "UPDATE exceptional_delivery SET next_attempt_at = NULL \(condition.sql)",
            condition.values
        )
    }

    func bringBackPending(of endpoint: EndpointID, through place: EventPosition?, at now: Instant) throws {
        var condition = Condition()
        condition.add("endpoint_id = ?", endpoint)
        condition.add("next_attempt_at IS NULL AND state IN ('retrying', 'waiting')")
        if let place { condition.add("dealer_id = ? AND sequence <= ?", place.dealerID, place.sequence) }
        try database.run(
            "UPDATE exceptional_delivery SET next_attempt_at = ? \(condition.sql)",
            [now] + condition.values
        )
    }

    func giveUpRows(of task: DeliveryTaskID, at now: Instant) throws -> Int {
        try database.run(
            """
            UPDATE exceptional_delivery SET state = task_prior
                WHERE task_id = ? AND state = 'waiting' AND task_prior IN ('retrying', 'waiting', 'parked')
                AND \(Remains.hasOwners)
            """,
            [task]
        )
        return try database.run(
            """
            UPDATE exceptional_delivery SET state = coalesce(task_prior, 'withdrawn'), next_attempt_at = NULL,
                updated_at = ? WHERE task_id = ? AND state IN ('retrying', 'waiting', 'parked')
                AND coalesce(task_prior, 'withdrawn') NOT IN ('retrying', 'waiting', 'parked')
                AND \(Remains.hasOwners)
            """,
            [now, task]
        )
    }
}

extension DeliveryTask {
    /// Inserts a row, or puts the one that is there in the way again; a portion that is placed twice changes nothing.
    fileprivate static let placing = """
        INSERT INTO exceptional_delivery (endpoint_id, dealer_id, sequence, event_id, state, attempts, next_attempt_at,
            event_created_at, updated_at, task_id, task_prior)
            VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?7, ?6, ?7, ?8, ?9)
            ON CONFLICT (endpoint_id, dealer_id, sequence) DO UPDATE SET state = 'waiting',
            next_attempt_at = excluded.next_attempt_at, updated_at = excluded.updated_at, task_id = excluded.task_id,
            task_prior = state WHERE task_id IS NOT excluded.task_id
        """

    fileprivate static let select = """
        SELECT id, kind, endpoint_id, app_id, dealer_id, partner_id, since, until, types, site_id, rate, actor_kind,
            actor_id, created_at, state, phase, reason, matched, delivered, dead, withdrawn, retrying, waiting,
            updated_at, ended_at, missed FROM delivery_task
        """

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            id: row.id(0),
            kind: try row.word(1),
            endpointID: row.id(2),
            owner: row.isNull(5) ? .app(row.id(3), of: row.id(4)) : .partner(row.id(5)),
            since: row.optional(6, row.instant),
            until: row.instant(7),
            rate: row.int(10),
            requestedBy: AuditEntry.Actor(try row.word(11), row.text(12)),
            createdAt: row.instant(13)
        )
        types = row.optional(8, row.text).map { Set(WordList.words($0).compactMap(EventType.init)) }
        siteID = row.optional(9, row.id)
        state = try row.word(14)
        phase = try row.word(15)
        reason = row.optional(16, row.text)
        matched = row.integer(17)
        counts.delivered = row.integer(18)
        counts.dead = row.integer(19)
        counts.withdrawn = row.integer(20)
        counts.retrying = row.integer(21)
        counts.waiting = row.integer(22)
        updatedAt = row.instant(23)
        endedAt = row.optional(24, row.instant)
        missed = row.integer(25)
    }

    fileprivate var fixedValues: [any Bindable] {
        let owners: [any Bindable]
        switch owner {
        case .app(let app, let dealer): owners = [app, dealer, String?.none]
        case .partner(let partner): owners = [String?.none, String?.none, partner]
        }
        return [kind.rawValue, endpointID] + owners + [
            since, until, types.map { WordList.text($0.map(\.rawValue)) }, siteID, rate, requestedBy.kind.rawValue,
            requestedBy.id, createdAt, missed,
        ]
    }

    fileprivate var changingValues: [any Bindable] {
        [
            state.rawValue, phase.rawValue, reason, matched, counts.delivered, counts.dead, counts.withdrawn,
            counts.retrying, counts.waiting, updatedAt, endedAt,
        ]
    }
}
