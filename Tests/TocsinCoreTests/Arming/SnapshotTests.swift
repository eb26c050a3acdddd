import Testing

@testable import TocsinCore

/// The stored form of a site's state: everything comes back, and equal states have equal bytes (I15, I20).
struct SnapshotTests {
    @Test func `a state in which everything is set comes back as it was`() throws {
        let state = SiteState.full

        #expect(try SiteState(snapshot: state.snapshot) == state)
    }

    @Test func `the test state leaves no member at its beginning`() throws {
        let full = SiteState.full
        let partition = try #require(full.partitions[.first])
        let began = Instant(secondsSinceEpoch: 0)

        #expect(unset(full, SiteState()).isEmpty)
        #expect(unset(partition, PartitionState(since: began)).isEmpty)
        #expect(
            unset(try #require(partition.exit), ExitDelay(startedAt: began, seconds: 0, base: [:], by: .system)).isEmpty
        )
        #expect(unset(try #require(partition.countdown), EntryCountdown(startedAt: began, deadline: began)).isEmpty)
        #expect(unset(try #require(partition.incidents.first), .fresh(at: began)).isEmpty)
        #expect(unset(try #require(full.zones[.door]), ZoneState()).isEmpty)
        #expect(unset(try #require(full.schedules.values.first), ScheduleState(definition: 0)).isEmpty)
        #expect(unset(try #require(partition.codeGuards.values.first), CodeGuard()).isEmpty)
    }

    @Test(arguments: [
        Phase.disarmed, .arming(target: nil, from: nil), .arming(target: .away, from: .stay), .armed(.night),
        .armed(.custom(name: nil)), .armed(.custom(name: "vacation")), .entry(.away),
        .entry(.custom(name: "armed_away")),
    ])
    func `every phase comes back`(phase: Phase) throws {
        var partition = PartitionState(since: Instant(secondsSinceEpoch: 7))
        partition.phase = phase
        let state = SiteState(partitions: [.first: partition])

        #expect(try SiteState(snapshot: state.snapshot).partitions[.first]?.phase == phase)
    }

    @Test func `equal states have equal bytes, in whatever order they came about`() throws {
        let zones = (1...40).map { ZoneID(stored: "zone_\($0)") }
        let names = (1...20).map { "keypad \($0)" }
        var bytes: Set<[UInt8]> = []

        for turn in 0..<10 {
            var generator = SeededGenerator(seed: UInt64(turn))
            var state = SiteState.full
            // What was there and went leaves other hash tables behind.
            for zone in zones.shuffled(using: &generator) {
                state.zones[zone, default: ZoneState()].faults = [.trouble]
                state.partitions[.first]?.bypassed[zone] = .force
                state.partitions[.first]?.swingers[zone] = SwingerCount(count: 2, lastAt: .noon)
            }
            for name in names.shuffled(using: &generator) {
                state.partitions[.first]?.codeGuards[name] = CodeGuard()
                state.partitions[.first]?.crossPending[name] = CrossPending(zone: .door, until: .noon)
                state.codeUses[UserID(stored: name)] = 3
            }
            bytes.insert(state.snapshot)
            bytes.insert(try SiteState(snapshot: state.snapshot).snapshot)
        }

        #expect(bytes.count == 1)
    }

    @Test func `the bytes of a state are what the ledger holds already`() {
        var partition = PartitionState(since: .noon)
        partition.phase = .arming(target: .away, from: nil)
        partition.by = Attribution(userID: "usr_1", name: "Ann", source: .keypad)
        partition.version = 2
        partition.exit = ExitDelay(startedAt: .noon, seconds: 60, base: [:], by: Attribution(source: .keypad))
        partition.bypassed = [.door: .manual]
        var state = SiteState(partitions: [.first: partition])
        state.zones[.door] = ZoneState()
        state.zones[.door]?.isOpen = true
        state.codedCommands = 1

        #expect(
            String(decoding: state.snapshot, as: UTF8.self) == """
                {"p_1":{"phase":"arming_in_progress","mode":"away","since":1779796800000,"version":2,"user":"usr_1",\
                "name":"Ann","source":"keypad","exit":{"started":1779796800000,"deadline":1779796860000,"seconds":60,\
                "by":{"source":"keypad"}},"bypassed":{"zone_1":"manual"}},"zones":{"zone_1":{"open":true}},\
                "coded_commands":1}
                """
        )
    }

    @Test(arguments: [
        "[]", "{\"p_1\":3}", "{\"p_1\":{\"phase\":\"asleep\",\"since\":1,\"version\":1}}",
        "{\"p_1\":{\"phase\":\"disarmed\",\"version\":1}}",
        "{\"p_1\":{\"phase\":\"armed_away\",\"since\":1,\"version\":1}}",
        "{\"zones\":{\"zone_1\":{\"faults\":[\"ajar\"]}}}",
    ])
    func `what cannot be understood is refused, not guessed`(text: String) {
        #expect(throws: SnapshotError.self) { try SiteState(snapshot: Array(text.utf8)) }
    }

    /// The stored properties that have the same value as in a fresh one.
    private func unset<Value>(_ value: Value, _ fresh: Value, except known: Set<String> = []) -> [String] {
        zip(Mirror(reflecting: value).children, Mirror(reflecting: fresh).children).compactMap { set, unset in
            guard let label = set.label, !known.contains(label) else { return nil }
            return String(describing: set.value) == String(describing: unset.value) ? label : nil
        }
    }
}

extension Instant {
    fileprivate static let noon = Instant(millisecondsSinceEpoch: 1_779_796_800_000)

    fileprivate func plus(_ milliseconds: Int64) -> Instant { self + .milliseconds(milliseconds) }
}

extension PartitionID {
    fileprivate static let first = PartitionID(stored: "p_1")
}

extension ZoneID {
    fileprivate static let door = ZoneID(stored: "zone_1")
}

extension Attribution {
    fileprivate static let system = Attribution(source: .system)
}

extension Incident {
    fileprivate static func fresh(at instant: Instant) -> Incident {
        Incident(
            id: IncidentID(0),
            alarmClass: .intrusion,
            zones: [],
            openedAt: instant,
            trigger: "",
            location: nil,
            priority: .high,
            isSilent: false
        )
    }
}

extension SiteState {
    /// Has every member at a value that it never begins with, possible together or not.
    fileprivate static var full: SiteState {
        var state = SiteState(partitions: [.first: .full])
        var zone = ZoneState()
        zone.isOpen = true
        zone.faults = [.tamper, .trouble]
        zone.isOffline = true
        zone.at = .noon.plus(1)
        zone.recentOpens = [.noon, .noon.plus(1)]
        zone.recentTampers = [.noon.plus(2)]
        zone.pendingUntil = .noon.plus(2)
        state.zones = [.door: zone, ZoneID(stored: "zone_2"): ZoneState()]
        var schedule = ScheduleState(definition: -7)
        schedule.occurrence = .noon.plus(3)
        schedule.dueAt = .noon.plus(4)
        schedule.warnAt = .noon.plus(5)
        schedule.retryUntil = .noon.plus(6)
        schedule.exitRetryUntil = .noon.plus(61)
        schedule.lateSince = .noon.plus(62)
        schedule.handledThrough = .noon.plus(63)
        schedule.skipped = SkippedRun(occurrence: .noon.plus(63), until: .noon.plus(65))
        state.schedules = [ScheduleID(stored: "sch_1"): schedule]
        state.offline = [DeviceID(stored: "dev_1"): .noon.plus(64)]
        state.codeUses = [UserID(stored: "usr_1"): 3]
        state.nextIncident = 12
        state.verifications = [IncidentID(7): .noon.plus(90_000), IncidentID(11): .noon]
        state.lateToldAt = .noon
        state.raised = [
            RaisedAlarm(incident: IncidentID(9), partitionID: .first, alarmClass: .panic, isSilent: true),
            RaisedAlarm(incident: IncidentID(10), partitionID: .first, alarmClass: .intrusion, isSilent: false),
        ]
        state.codedCommands = 99
        state.commandsAsked = 2
        state.pendingCommands = [
            PendingCommand(
                id: EventID(stored: "evt_1"),
                action: .arm(
                    ArmingCommand.ArmRequest(
                        mode: .custom(name: "vacation"),
                        bypassZones: [5],
                        force: true,
                        instant: true,
                        noEntryDelay: true
                    )
                ),
                partitions: [.first],
                by: Attribution(userID: "usr_1", name: "Ann", source: .api),
                holder: UserID(stored: "usr_1"),
                isDuress: true,
                run: PendingCommand.ScheduledRun(schedule: ScheduleID(stored: "sch_1"), occurrence: .noon),
                receivedAt: .noon,
                expiresAt: .noon
            )
        ]
        state.looks = 98
        state.relays[RelayID(stored: "rel_1")] = RelayState(
            since: Instant(secondsSinceEpoch: 41),
            until: Instant(secondsSinceEpoch: 42),
            trigger: .schedule(ScheduleID(stored: "sch_1"))
        )
        return state
    }
}

extension PartitionState {
    fileprivate static var full: PartitionState {
        let by = Attribution(userID: "usr_1", name: "Ann", source: .mobileApp)
        var state = PartitionState(since: .noon)
        state.phase = .arming(target: .custom(name: "vacation"), from: .night)
        state.by = by
        state.version = 41
        state.countdown = EntryCountdown(startedAt: .noon.plus(7), deadline: .noon.plus(8), zoneName: "Front Door")
        state.countdown?.zones = [.door]
        state.countdown?.isExitError = true
        state.countdown?.offRouteZone = .door
        state.overdueAt = .noon.plus(9)
        var exit = ExitDelay(startedAt: .noon.plus(10), seconds: 45, base: [.door: .auto], by: by)
        exit.deadline = .noon.plus(11)
        exit.isRestartUsed = true
        exit.doorOpened = true
        exit.doorClosedOnce = true
        exit.relaxedZone = .door
        exit.isQuick = true
        exit.hadNoEntryDelay = true
        state.exit = exit
        state.incidents = [.full, .fresh(at: .noon)]
        state.bypassed = [.door: .swinger, ZoneID(stored: "zone_2"): .manual]
        state.swingers = [.door: SwingerCount(count: 2, lastAt: .noon.plus(12))]
        state.crossPending = ["back": CrossPending(zone: .door, until: .noon.plus(13))]
        var codeGuard = CodeGuard()
        codeGuard.failures = [.noon.plus(14)]
        codeGuard.lockedUntil = .noon.plus(15)
        codeGuard.lockouts = 2
        state.codeGuards = ["keypad": codeGuard]
        state.sessions = [
            ArmedSession(mode: .away, from: .noon.plus(16), to: .noon.plus(17)),
            ArmedSession(mode: .night, from: .noon.plus(18)),
        ]
        state.hasNoEntryDelay = true
        state.guardUntil = .noon.plus(19)
        state.guardZone = .door
        state.hoursDueAt = .noon.plus(20)
        state.alarmMemory = true
        let reports = [
            ReportOrder.AppliedReport(timestamp: .noon, state: .disarmed),
            ReportOrder.AppliedReport(timestamp: .noon.plus(1), state: .armedCustom, customMode: "vacation"),
        ]
        state.order = ReportOrder(timestamp: .noon, wasAhead: true, floor: .noon.plus(21), applied: reports)
        return state
    }
}

extension Incident {
    fileprivate static var full: Incident {
        var incident = Incident(
            id: IncidentID(11),
            alarmClass: .panic,
            zones: [.door],
            openedAt: .noon.plus(22),
            trigger: "panic",
            location: "Back Door",
            priority: .critical,
            isSilent: true,
            isLate: true
        )
        incident.abortUntil = .noon.plus(23)
        incident.reportedAt = .noon.plus(24)
        incident.bellUntil = .noon.plus(25)
        // A silent one is never announced; here it differs from a fresh one, and so must the stored form.
        incident.isAnnounced = false
        incident.isVerified = true
        incident.isSilenced = true
        incident.isOver = true
        incident.untold = [.door]
        incident.toldAt = .noon.plus(26)
        return incident
    }
}
