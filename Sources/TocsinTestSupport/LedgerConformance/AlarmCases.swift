import TocsinCore
import TocsinEngine
import TocsinLedger

/// Alarms in the ledger: stored whole, changed only from the version that was decided on, found by who may see them.
enum AlarmCases {
    static let all = [
        LedgerCase("an alarm comes back as it was stored, with its timeline", storesWhole),
        LedgerCase("an alarm that has changed since refuses the whole decision", staleAlarmIsConflict),
        LedgerCase("alarms are listed newest first, by filter and reach, page by page", lists),
        LedgerCase("what a decision needs of a site's alarms is found", findsNeeds),
        LedgerCase("a dealer's alarms go with it, and its wish reaches its sites", dealers),
    ]

    private static func number(_ value: Int64) -> AlarmNumber { AlarmNumber(value) }

    private static func storesWhole(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        var change = world.raised(IncidentID(7), zones: [AlarmActivity.Zone(number: 5, name: "Back Door")])
        try await world.commit([change], version: 1)
        let operatorActor = AuditEntry.Actor(.app, "app_1")
        let start = LedgerWorld.start
        let dispatch = AlarmDispatch(
            responderID: "rsp_1",
            responderType: "guard",
            etaSeconds: 240,
            trackingURL: "https://x.test/d"
        )
        let actions: [AlarmAction] = [
            .requestVerification(by: "operator", seconds: 90, until: start + .seconds(90)),
            .answerVerification(.confirmed, notes: "seen", source: "operator"),
            .escalate(reason: "two of them", priority: nil),
            .dispatch(dispatch), .resolve(.handled, notes: "caught"),
            .annotate(AlarmAnnotation(source: "model", verdict: "person", confidence: 0.92)),
        ]
        var stored = try await world.alarm(1)
        try expectEqual(stored.zones.map(\.name), ["Back Door"])
        change = AlarmChange(alarm: stored, baseVersion: stored.version, entries: [])
        for action in actions {
            guard case .success(let effects) = change.alarm.perform(action, by: operatorActor, at: start) else {
                throw ConformanceFailure(description: "\(action) was refused")
            }
            for case .change(_, var entry, let event) in effects {
                entry.eventID = event == nil ? nil : world.random.id(at: start)
                change.entries.append(entry)
            }
        }
        try await world.commit([change], version: 2)
        stored = try await world.alarm(1)
        try expectEqual(stored, change.alarm)
        let timeline = try await ledger.read { [dealer = world.dealer.id] in
            try $0.timeline(of: number(1), of: dealer, limit: 100)
        }
        try expectEqual(Array(timeline.dropFirst()), change.entries)
        try expectEqual(timeline.map(\.position), Array(1...stored.version))
        let newest = try await ledger.read { [dealer = world.dealer.id] in
            try $0.timeline(of: number(1), of: dealer, limit: 2)
        }
        try expectEqual(newest, timeline.suffix(2))
        try expectEqual(try await ledger.read { try $0.verify() }, [])
    }

    private static func staleAlarmIsConflict(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await world.commit([world.raised(IncidentID(1))], version: 1)
        let stored = try await world.alarm(1)
        func acknowledging() -> AlarmChange {
            var change = AlarmChange(alarm: stored, baseVersion: stored.version, entries: [])
            if case .success(let effects) = change.alarm.perform(
                .acknowledge(reason: nil),
                by: .system,
                at: LedgerWorld.start
            ) {
                for case .change(_, let entry, _) in effects { change.entries.append(entry) }
            }
            return change
        }
        try await world.commit([acknowledging()], version: 2)
        let before = try await ledger.read { try $0.counts() }
        var late = world.decision(version: 3)
        late.alarms = [acknowledging()]
        try expect(try await ledger.commit([late]).first?.isConflict == true, "a stale alarm was overwritten")
        try expectEqual(try await ledger.read { try $0.counts() }, before)
        var gone = world.decision(version: 3)
        gone.alarms = [acknowledging()]
        gone.alarms[0].alarm.number = AlarmNumber(99)
        try expect(try await ledger.commit([gone]).first?.isConflict == true, "an alarm that is not there was changed")
    }

    private static func lists(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        let other = try await LedgerWorld.make(in: ledger, name: "Bolt")
        let own = try await world.addSite("Main Street 9", ofPartner: false)
        for index in 0..<3 {
            let at = LedgerWorld.start + .seconds(Int64(index) * 10)
            let incident = IncidentID(Int64(index) + 1)
            try await world.commit([world.raised(incident, at: at)], version: Int64(index) + 1)
        }
        try await world.commit(
            [world.raised(IncidentID(1), alarmClass: .fire, priority: .critical, on: own)],
            version: 1,
            on: own
        )
        try await other.commit([other.raised(IncidentID(1))], version: 1)
        func numbers(
            _ reach: Reach,
            _ filter: AlarmFilter = AlarmFilter(),
            limit: Int = 50,
            after: String? = nil
        ) async throws -> (numbers: [Int64], next: String?) {
            let page = try await ledger.read {
                try $0.alarms(within: reach, filter: filter, page: PageRequest(limit: limit, after: after))
            }
            return (page.items.compactMap { $0.number?.value }, page.next)
        }
        let dealer = Reach.dealer(world.dealer.id)
        try expectEqual(try await numbers(dealer).numbers, [4, 3, 2, 1])
        try expectEqual(try await numbers(.partner(world.partner.id)).numbers, [3, 2, 1])
        try expectEqual(try await numbers(dealer, AlarmFilter(siteID: own.site.id)).numbers, [4])
        try expectEqual(try await numbers(dealer, AlarmFilter(state: .open)).numbers, [4, 3, 2, 1])
        try expectEqual(try await numbers(dealer, AlarmFilter(state: .resolved)).numbers, [])
        try expectEqual(try await numbers(dealer, AlarmFilter(alarmClass: .fire)).numbers, [4])
        try expectEqual(try await numbers(dealer, AlarmFilter(priority: .high)).numbers, [3, 2, 1])
        let since = AlarmFilter(since: LedgerWorld.start + .seconds(10))
        try expectEqual(try await numbers(dealer, since).numbers, [3, 2])
        try expectEqual(try await numbers(.dealer(other.dealer.id)).numbers, [1])
        for reach in [dealer, .platform] {
            var seen: [Int64] = []
            var after: String?
            repeat {
                let page = try await numbers(reach, limit: 2, after: after)
                seen += page.numbers
                after = page.next
            } while after != nil
            try expectEqual(seen.count, reach == .platform ? 5 : 4)
        }
        try await expectRefusal(.invalid, nil) { _ = try await numbers(dealer, after: "nonsense") }
        let foreign = try await ledger.read { [dealer = world.dealer.id, reach = Reach.dealer(other.dealer.id)] in
            try $0.alarm(number(1), of: dealer, within: reach)
        }
        try expectEqual(foreign, nil)
    }

    private static func findsNeeds(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await world.commit(
            [world.raised(IncidentID(1)), world.raised(IncidentID(2)), world.raised(IncidentID(3), isSilent: true)],
            version: 1
        )
        func slot(_ alarmClass: AlarmClass, isSilent: Bool = false) -> AlarmNeeds {
            AlarmNeeds(slots: [
                AlarmNeeds.Slot(partitionID: world.partition.id, alarmClass: alarmClass, isSilent: isSilent)
            ])
        }
        func found(_ needs: AlarmNeeds) async throws -> [Int64] {
            try await ledger.read { [site = world.site.id] in try $0.alarms(of: site, needs) }.map(\.incident.value)
        }
        try expectEqual(try await found(AlarmNeeds(incidents: [IncidentID(1), IncidentID(9)])), [1])
        try expectEqual(try await found(slot(.intrusion)), [2])
        try expectEqual(try await found(slot(.intrusion, isSilent: true)), [3])
        try expectEqual(try await found(slot(.fire)), [])
        let unresolved = try await ledger.read { [site = world.site.id] in try $0.unresolvedAlarm(of: site) }
        try expectEqual(unresolved?.incident, IncidentID(2))
    }

    private static func dealers(_ ledger: any Ledger) async throws {
        let world = try await LedgerWorld.make(in: ledger)
        try await world.commit([world.raised(IncidentID(1))], version: 1)
        var dealer = world.dealer
        dealer.autoResolvesCancelled = true
        try await ledger.write { [dealer] in try $0.update(dealer) }
        let record = try require(try await ledger.load([world.site.id])[world.site.id])
        try expect(record.configuration.autoResolvesCancelled, "the site does not know the dealer's wish")
        try expectEqual(record.version, 3)
        try expectEqual(try await ledger.read { [id = dealer.id] in try $0.dealer(id, within: .platform) }, dealer)
        try await ledger.write { [id = dealer.id] in try $0.deleteDealer(id) }
        try await ledger.clearRemains(limit: 100)
        let counts = try await ledger.read { try $0.counts() }
        try expectEqual([counts["alarm"], counts["alarm_entry"]], [0, 0])
    }
}

extension LedgerWorld {
    /// An alarm that a decision raises.
    package func raised(
        _ incident: IncidentID,
        alarmClass: AlarmClass = .intrusion,
        priority: AlarmPriority = .high,
        zones: [AlarmActivity.Zone] = [],
        isSilent: Bool = false,
        at instant: Instant = start,
        on place: (site: Site, partition: Partition)? = nil
    ) -> AlarmChange {
        let draft = AlarmDraft(
            incident: incident,
            partitionID: place?.partition.id ?? partition.id,
            zones: zones,
            alarmClass: alarmClass,
            priority: priority,
            trigger: "motion",
            location: "Back Door",
            isSilent: isSilent
        )
        var alarm = Alarm(draft, dealerID: dealer.id, siteID: place?.site.id ?? site.id, createdAt: instant)
        let entry = alarm.begin(by: .system, "Raised: motion", at: instant)
        return AlarmChange(alarm: alarm, baseVersion: 0, entries: [entry])
    }

    fileprivate func commit(
        _ alarms: [AlarmChange],
        version: Int64,
        on place: (site: Site, partition: Partition)? = nil
    ) async throws {
        var decision = decision(on: place?.site, place?.partition, version: version)
        decision.alarms = alarms
        _ = try require(try await ledger.commit([decision]).first?.events, "it was not committed")
    }

    fileprivate func alarm(_ value: Int64) async throws -> Alarm {
        let found = try await ledger.read { [dealer = dealer.id] in
            try $0.alarm(AlarmNumber(value), of: dealer, within: .dealer(dealer))
        }
        return try require(found)
    }
}
