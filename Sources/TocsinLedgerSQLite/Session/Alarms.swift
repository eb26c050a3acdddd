import GRDB
import TocsinCore
import TocsinJSON
import TocsinLedger

extension SQLiteReading {
    func alarms(within reach: Reach, filter: AlarmFilter, page: PageRequest) throws -> Page<Alarm> {
        var condition = Alarm.condition(reach)
        condition.add("dealer_id = ?", ifPresent: filter.dealerID)
        condition.add("site_id = ?", ifPresent: filter.siteID)
        if let state = filter.state {
            condition.add("state = ?", state.rawValue)
            // Said again in the words of the index, which holds what is not resolved.
            if state != .resolved { condition.add("state <> 'resolved'") }
        }
        condition.add("priority = ?", ifPresent: filter.priority?.rawValue)
        condition.add("class = ?", ifPresent: filter.alarmClass?.rawValue)
        condition.add("created_at >= ?", ifPresent: filter.since)
        // Within a dealer the numbers tell the order; across dealers only the times can.
        let isOfOneDealer = filter.dealerID != nil || filter.siteID != nil || reach.dealerID != nil
        if let after = try page.after.map(AlarmPlace.init) {
            if isOfOneDealer {
                condition.add("number < ?", after.number)
            } else {
                condition.add("(created_at, dealer_id, number) < (?, ?, ?)", after.at, after.dealer, after.number)
            }
        }
        let order = isOfOneDealer ? "number DESC" : "created_at DESC, dealer_id DESC, number DESC"
        let limit = page.boundedLimit
        let found = try database.all(
            "\(Alarm.select) \(condition.sql) ORDER BY \(order) LIMIT ?",
            condition.values + [limit + 1],
            read: Alarm.init
        )
        return Page(found, limit: limit) { AlarmPlace($0).text }
    }

    func alarm(_ number: AlarmNumber, of dealer: DealerID, within reach: Reach) throws -> Alarm? {
        var condition = Alarm.condition(reach)
        condition.add("dealer_id = ?", dealer)
        condition.add("number = ?", number.value)
        return try database.first("\(Alarm.select) \(condition.sql)", condition.values, read: Alarm.init)
    }

    func alarm(_ incident: IncidentID, of site: SiteID) throws -> Alarm? {
        try database.first(
            "\(Alarm.select) WHERE site_id = ? AND incident = ? ORDER BY number DESC",
            [site, incident.value],
            read: Alarm.init
        )
    }

    func alarms(of site: SiteID, _ needs: AlarmNeeds) throws -> [Alarm] {
        var found: [Alarm] = []
        for incident in needs.incidents.sorted() {
            if let alarm = try alarm(incident, of: site) { found.append(alarm) }
        }
        for slot in needs.slots {
            let newest = try database.first(
                """
                \(Alarm.select) WHERE site_id = ? AND partition_id = ? AND class = ? AND is_silent = ?
                    AND state <> 'resolved' ORDER BY incident DESC LIMIT 1
                """,
                [site, slot.partitionID, slot.alarmClass.rawValue, slot.isSilent],
                read: Alarm.init
            )
            if let newest, !needs.incidents.contains(newest.incident) { found.append(newest) }
        }
        for device in needs.devices {
            let newest = try database.first(
                """
                \(Alarm.select) WHERE site_id = ? AND device_id = ? AND state <> 'resolved'
                    ORDER BY incident DESC LIMIT 1
                """,
                [site, device],
                read: Alarm.init
            )
            if let newest, !found.contains(where: { $0.incident == newest.incident }) { found.append(newest) }
        }
        return found
    }

    func timeline(of number: AlarmNumber, of dealer: DealerID, limit: Int) throws -> [AlarmEntry] {
        let entries = try database.all(
            """
            SELECT position, at, kind, actor_kind, actor_id, text, details, event_id FROM alarm_entry
                WHERE dealer_id = ? AND number = ? ORDER BY position DESC LIMIT ?
            """,
            [dealer, number.value, limit],
            read: AlarmEntry.init
        )
        return entries.reversed()
    }

    func unresolvedAlarm(of site: SiteID) throws -> Alarm? {
        try database.first(
            "\(Alarm.select) WHERE site_id = ? AND state <> 'resolved' AND NOT is_silent ORDER BY incident DESC LIMIT 1",
            [site],
            read: Alarm.init
        )
    }
}

/// Writes what decisions do to alarms.
struct AlarmWriter {
    private let database: Database

    init(_ database: Database) { self.database = database }

    /// Whether every alarm that a decision changes is still as it was when it was decided.
    func isCurrent(_ changes: [AlarmChange]) throws -> Bool {
        let query = try PreparedStatement(database, "SELECT version FROM alarm WHERE dealer_id = ? AND number = ?")
        for change in changes where !change.isNew {
            guard let number = change.alarm.number else { return false }
            let version = try query.first(change.alarm.dealerID, number.value) { $0.integer(0) }
            if version != change.baseVersion { return false }
        }
        return true
    }

    /// Stores the changes of one decision and returns the alarms' numbers; new ones count on from the dealer's last.
    func store(_ changes: [AlarmChange], after last: inout Int64) throws -> [IncidentID: AlarmNumber] {
        var numbers: [IncidentID: AlarmNumber] = [:]
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO alarm_entry (dealer_id, number, position, at, kind, actor_kind, actor_id, text, details, event_id)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        for change in changes {
            let alarm = change.alarm
            if change.isNew { last += 1 }
            let number = alarm.number ?? AlarmNumber(last)
            numbers[alarm.incident] = number
            if change.isNew { try insert(alarm, as: number) } else { try update(alarm, number) }
            for entry in change.entries {
                try insertion.run(
                    alarm.dealerID,
                    number.value,
                    entry.position,
                    entry.at,
                    entry.kind.rawValue,
                    entry.actor.kind.rawValue,
                    entry.actor.id,
                    entry.text,
                    entry.details.isEmpty ? nil as [UInt8]? : JSON.object(entry.details).bytes,
                    entry.eventID
                )
            }
        }
        return numbers
    }

    private func insert(_ alarm: Alarm, as number: AlarmNumber) throws {
        let insertion = try PreparedStatement(
            database,
            """
            INSERT INTO alarm (dealer_id, number, site_id, partition_id, class, state, priority, "trigger", location,
                created_at, incident, device_id, is_silent, version, facts)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        try insertion.run(
            alarm.dealerID,
            number.value,
            alarm.siteID,
            alarm.partitionID,
            alarm.alarmClass.rawValue,
            alarm.state.rawValue,
            alarm.priority.rawValue,
            alarm.trigger,
            alarm.location,
            alarm.createdAt,
            alarm.incident.value,
            alarm.deviceID,
            alarm.isSilent,
            alarm.version,
            alarm.storedFacts
        )
    }

    private func update(_ alarm: Alarm, _ number: AlarmNumber) throws {
        let update = try PreparedStatement(
            database,
            "UPDATE alarm SET state = ?, priority = ?, version = ?, facts = ? WHERE dealer_id = ? AND number = ?"
        )
        try update.run(
            alarm.state.rawValue,
            alarm.priority.rawValue,
            alarm.version,
            alarm.storedFacts,
            alarm.dealerID,
            number.value
        )
    }
}

/// Where a page of alarms ended: `<created_at>/<dealer>/<number>`.
private struct AlarmPlace {
    var at: Instant
    var dealer: DealerID
    var number: Int64

    init(_ alarm: Alarm) {
        at = alarm.createdAt
        dealer = alarm.dealerID
        number = alarm.number?.value ?? 0
    }

    init(_ text: String) throws {
        let parts = text.split(separator: "/")
        guard parts.count == 3, let at = Int64(parts[0]), let number = Int64(parts[2]) else {
            throw LedgerError(.invalid, "the cursor is not one of a list of alarms")
        }
        self.at = Instant(millisecondsSinceEpoch: at)
        dealer = DealerID(stored: String(parts[1]))
        self.number = number
    }

    var text: String { "\(at.millisecondsSinceEpoch)/\(dealer)/\(number)" }
}

extension Reach {
    fileprivate var dealerID: DealerID? {
        if case .dealer(let id) = self { id } else { nil }
    }
}

extension Alarm {
    fileprivate static let select = """
        SELECT dealer_id, number, site_id, partition_id, class, state, priority, "trigger", location, created_at,
            incident, device_id, is_silent, version, facts FROM alarm
        """

    /// A partner sees the alarms of the sites that are its own.
    fileprivate static func condition(_ reach: Reach) -> Condition {
        var condition = Condition()
        switch reach {
        // A dealer's alarms outlast it for a while; the sign keeps SQLite from asking for each dealer in turn.
        case .platform: condition.add("+dealer_id IN (SELECT id FROM dealer)")
        case .dealer(let id): condition.add("dealer_id = ?", id)
        case .partner(let id): condition.add("site_id IN (SELECT id FROM site WHERE partner_id = ?)", id)
        }
        return condition
    }

    fileprivate init(_ row: ResultRow) throws {
        let draft = AlarmDraft(
            incident: IncidentID(row.integer(10)),
            partitionID: row.optional(3, row.id),
            deviceID: row.optional(11, row.id),
            alarmClass: try row.word(4),
            priority: try row.word(6),
            trigger: row.text(7),
            location: row.optional(8, row.text),
            isSilent: row.bool(12)
        )
        try self.init(
            stored: draft,
            dealerID: row.id(0),
            siteID: row.id(2),
            number: AlarmNumber(row.integer(1)),
            state: try row.word(5),
            version: row.integer(13),
            createdAt: row.instant(9),
            facts: try row.optional(14, row.bytes).flatMap { try JSONParser.parse($0).object } ?? [:]
        )
    }

    fileprivate var storedFacts: [UInt8]? {
        let facts = facts
        return facts.isEmpty ? nil : JSON.object(facts).bytes
    }
}

extension AlarmEntry {
    fileprivate init(_ row: ResultRow) throws {
        self.init(
            position: row.integer(0),
            at: row.instant(1),
            kind: try row.word(2),
            actor: AuditEntry.Actor(try row.word(3), row.text(4)),
            text: row.text(5),
            details: try row.optional(6, row.bytes).flatMap { try JSONParser.parse($0).object } ?? [:],
            eventID: row.optional(7, row.id)
        )
    }
}
