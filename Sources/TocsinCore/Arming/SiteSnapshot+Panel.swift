import TocsinJSON

// The stored form of what Tocsin decides itself; a site of a partner that only reports has none of it.

extension SiteState {
    /// Members beside the partitions, whose ids all begin with `p_`.
    static let panelMembers: Set<String> = [
        "zones", "offline", "schedules", "code_uses", "next_incident", "coded_commands", "waiting", "asked", "looks",
        "verifications", "relays", "raised", "late_told",
    ]

    func writePanel(to writer: inout JSONWriter) {
        if !zones.isEmpty {
            writer.map("zones", zones) { $1.write(to: &$0) }
        }
        if !offline.isEmpty {
            writer.name("offline")
            writer.object { writer in
                for (device, seen) in offline.sorted(by: { $0.key < $1.key }) {
                    writer.member(device.text, seen.millisecondsSinceEpoch)
                }
            }
        }
        if !schedules.isEmpty {
            writer.map("schedules", schedules) { $1.write(to: &$0) }
        }
        if !codeUses.isEmpty {
            writer.name("code_uses")
            writer.object { writer in
                for (user, uses) in codeUses.sorted(by: { $0.key < $1.key }) { writer.member(user.text, uses) }
            }
        }
        if nextIncident > 1 { writer.member("next_incident", nextIncident) }
        if codedCommands > 0 { writer.member("coded_commands", codedCommands) }
        if looks > 0 { writer.member("looks", looks) }
        if !pendingCommands.isEmpty {
            writer.name("waiting")
            writer.array { writer in
                for command in pendingCommands { writer.object { command.write(to: &$0) } }
            }
        }
        if commandsAsked > 0 { writer.member("asked", commandsAsked) }
        if !verifications.isEmpty {
            writer.name("verifications")
            writer.object { writer in
                for (incident, deadline) in verifications.sorted(by: { $0.key < $1.key }) {
                    writer.member(String(incident.value), deadline.millisecondsSinceEpoch)
                }
            }
        }
        if !relays.isEmpty { writer.map("relays", relays) { $1.write(to: &$0) } }
        if let lateToldAt { writer.member("late_told", lateToldAt.millisecondsSinceEpoch) }
        if !raised.isEmpty {
            writer.name("raised")
            writer.array { writer in
                for alarm in raised { writer.object { alarm.write(to: &$0) } }
            }
        }
    }

    mutating func readPanel(_ json: JSONObject) throws {
        for member in json["zones"]?.object?.members ?? [] {
            zones[ZoneID(stored: member.name)] = try ZoneState(member.value.object ?? [:])
        }
        for member in json["offline"]?.object?.members ?? [] {
            offline[DeviceID(stored: member.name)] = member.value.integer.map(Instant.init(millisecondsSinceEpoch:))
        }
        for member in json["schedules"]?.object?.members ?? [] {
            schedules[ScheduleID(stored: member.name)] = try ScheduleState(member.value.object ?? [:])
        }
        for member in json["code_uses"]?.object?.members ?? [] {
            codeUses[UserID(stored: member.name)] = member.value.integer.map { Int(clamping: $0) } ?? 0
        }
        nextIncident = json["next_incident"]?.integer ?? 1
        codedCommands = json["coded_commands"]?.integer ?? 0
        looks = json["looks"]?.integer ?? 0
        pendingCommands = try json["waiting"]?.array?.map { try PendingCommand($0.object ?? [:]) } ?? []
        commandsAsked = json["asked"]?.integer ?? 0
        for member in json["verifications"]?.object?.members ?? [] {
            guard let id = Int64(member.name), let deadline = member.value.integer else {
                throw SnapshotError(description: "a verification of a state cannot be read")
            }
            verifications[IncidentID(id)] = Instant(millisecondsSinceEpoch: deadline)
        }
        for member in json["relays"]?.object?.members ?? [] {
            relays[RelayID(stored: member.name)] = try RelayState(member.value.object ?? [:])
        }
        lateToldAt = json["late_told"] == nil ? nil : try json.instant("late_told")
        raised = try json["raised"]?.array?.map { try RaisedAlarm($0.object ?? [:]) } ?? []
    }
}

extension PartitionState {
    func writePanel(to writer: inout JSONWriter) {
        if let exit {
            writer.name("exit")
            writer.object { exit.write(to: &$0) }
        }
        if !incidents.isEmpty {
            writer.name("incidents")
            writer.array { writer in
                for incident in incidents { writer.object { incident.write(to: &$0) } }
            }
        }
        if !bypassed.isEmpty { writer.bypasses("bypassed", bypassed) }
        if !swingers.isEmpty {
            writer.map("swingers", swingers) { writer, count in
                writer.member("count", count.count)
                writer.member("at", count.lastAt.millisecondsSinceEpoch)
            }
        }
        if !crossPending.isEmpty {
            writer.name("cross")
            writer.object { writer in
                for (group, pending) in crossPending.sorted(by: { $0.key < $1.key }) {
                    writer.name(group)
                    writer.object { writer in
                        writer.member("zone", pending.zone.text)
                        writer.member("until", pending.until.millisecondsSinceEpoch)
                    }
                }
            }
        }
        writeGuards(to: &writer)
        if !sessions.isEmpty {
            writer.name("sessions")
            writer.array { writer in
                for session in sessions { writer.object { session.write(to: &$0) } }
            }
        }
        if hasNoEntryDelay { writer.member("no_entry_delay", true) }
        writer.member("guard_until", ifPresent: guardUntil)
        writer.member("guard_zone", ifPresent: guardZone?.text)
        writer.member("hours_due", ifPresent: hoursDueAt)
    }

    private func writeGuards(to writer: inout JSONWriter) {
        if codeGuards.isEmpty { return }
        writer.name("code_guards")
        writer.object { writer in
            for (source, codeGuard) in codeGuards.sorted(by: { $0.key < $1.key }) {
                writer.name(source)
                writer.object { writer in
                    writer.instants("failures", codeGuard.failures)
                    writer.member("locked_until", ifPresent: codeGuard.lockedUntil)
                    writer.member("lockouts", codeGuard.lockouts)
                }
            }
        }
    }

    mutating func readPanel(_ json: JSONObject) throws {
        exit = try json["exit"]?.object.map(ExitDelay.init)
        incidents = try json["incidents"]?.array?.map { try Incident($0.object ?? [:]) } ?? []
        if incidents.isEmpty, json["in_alarm"]?.bool == true {
            // Written before alarms had incidents: one of the entry delay, as there was no other.
            incidents = [
                Incident(
                    id: IncidentID(0),
                    alarmClass: .intrusion,
                    zones: [],
                    openedAt: since,
                    trigger: "entry-delay-expired",
                    location: nil,
                    priority: .high,
                    isSilent: false
                )
            ]
        }
        bypassed = json.bypasses("bypassed")
        for member in json["swingers"]?.object?.members ?? [] {
            let stored = member.value.object ?? [:]
            swingers[ZoneID(stored: member.name)] = SwingerCount(
                count: Int(clamping: try stored.number("count")),
                lastAt: try stored.instant("at")
            )
        }
        for member in json["cross"]?.object?.members ?? [] {
            let stored = member.value.object ?? [:]
            crossPending[member.name] = CrossPending(
                zone: ZoneID(stored: stored["zone"]?.string ?? ""),
                until: try stored.instant("until")
            )
        }
        for member in json["code_guards"]?.object?.members ?? [] {
            let stored = member.value.object ?? [:]
            var codeGuard = CodeGuard()
            codeGuard.failures = stored.instants("failures")
            codeGuard.lockedUntil = stored.optionalInstant("locked_until")
            codeGuard.lockouts = stored.integer("lockouts") ?? 0
            codeGuards[member.name] = codeGuard
        }
        sessions = try json["sessions"]?.array?.map { try ArmedSession($0.object ?? [:]) } ?? []
        hasNoEntryDelay = json["no_entry_delay"]?.bool ?? false
        guardUntil = json.optionalInstant("guard_until")
        guardZone = json["guard_zone"]?.string.map(ZoneID.init(stored:))
        hoursDueAt = json.optionalInstant("hours_due")
    }
}

extension ExitDelay {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("started", startedAt.millisecondsSinceEpoch)
        writer.member("deadline", deadline.millisecondsSinceEpoch)
        writer.member("seconds", seconds)
        if isRestartUsed { writer.member("restarted", true) }
        if doorOpened { writer.member("opened", true) }
        if doorClosedOnce { writer.member("closed", true) }
        if !base.isEmpty { writer.bypasses("base", base) }
        if hadNoEntryDelay { writer.member("had_no_entry_delay", true) }
        writer.attribution("by", by)
        writer.member("relaxed", ifPresent: relaxedZone?.text)
        if isQuick { writer.member("quick", true) }
    }

    fileprivate init(_ json: JSONObject) throws {
        self.init(
            startedAt: try json.instant("started"),
            seconds: Int(clamping: try json.number("seconds")),
            base: json.bypasses("base"),
            by: try json.attribution("by")
        )
        deadline = try json.instant("deadline")
        isRestartUsed = json["restarted"]?.bool ?? false
        doorOpened = json["opened"]?.bool ?? false
        doorClosedOnce = json["closed"]?.bool ?? false
        relaxedZone = json["relaxed"]?.string.map(ZoneID.init(stored:))
        isQuick = json["quick"]?.bool ?? false
        hadNoEntryDelay = json["had_no_entry_delay"]?.bool ?? false
    }
}

extension Incident {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("id", id.value)
        writer.member("class", alarmClass.rawValue)
        writer.member("zones", JSON(zones.map(\.text)))
        writer.member("opened", openedAt.millisecondsSinceEpoch)
        writer.member("trigger", trigger)
        writer.member("location", ifPresent: location)
        writer.member("priority", priority.rawValue)
        writer.member("abort_until", ifPresent: abortUntil)
        writer.member("reported", ifPresent: reportedAt)
        writer.member("bell_until", ifPresent: bellUntil)
        if isSilent { writer.member("silent", true) }
        if isAnnounced { writer.member("announced", true) }
        if isVerified { writer.member("verified", true) }
        if isSilenced { writer.member("silenced", true) }
        if isOver { writer.member("over", true) }
        if isLate { writer.member("late", true) }
        if !untold.isEmpty { writer.member("untold", JSON(untold.map(\.text))) }
        writer.member("told", ifPresent: toldAt)
    }

    fileprivate init(_ json: JSONObject) throws {
        guard let alarmClass = json["class"]?.string.flatMap(AlarmClass.init(rawValue:)),
            let priority = json["priority"]?.string.flatMap(AlarmPriority.init(rawValue:))
        else { throw SnapshotError(description: "an incident's class or priority is unknown") }
        self.init(
            id: IncidentID(try json.number("id")),
            alarmClass: alarmClass,
            zones: json.ids("zones"),
            openedAt: try json.instant("opened"),
            trigger: json["trigger"]?.string ?? "",
            location: json["location"]?.string,
            priority: priority,
            isSilent: json["silent"]?.bool ?? false,
            isLate: json["late"]?.bool ?? false
        )
        abortUntil = json.optionalInstant("abort_until")
        reportedAt = json.optionalInstant("reported")
        bellUntil = json.optionalInstant("bell_until")
        isAnnounced = json["announced"]?.bool ?? false
        isVerified = json["verified"]?.bool ?? false
        isSilenced = json["silenced"]?.bool ?? false
        isOver = json["over"]?.bool ?? false
        untold = json.ids("untold")
        toldAt = json.optionalInstant("told")
    }
}

extension ArmedSession {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("mode", mode.wireName)
        writer.member("from", from.millisecondsSinceEpoch)
        writer.member("to", ifPresent: to)
    }

    fileprivate init(_ json: JSONObject) throws {
        self.init(
            mode: ArmingMode(wireName: json["mode"]?.string ?? ""),
            from: try json.instant("from"),
            to: json.optionalInstant("to")
        )
    }
}

extension ZoneState {
    fileprivate func write(to writer: inout JSONWriter) {
        if isOpen { writer.member("open", true) }
        if !faults.isEmpty { writer.member("faults", JSON(faults.sorted().map(\.rawValue))) }
        if isOffline { writer.member("offline", true) }
        writer.member("at", ifPresent: at)
        if !recentOpens.isEmpty { writer.instants("opens", recentOpens) }
        if !recentTampers.isEmpty { writer.instants("tampers", recentTampers) }
        writer.member("pending", ifPresent: pendingUntil)
    }

    fileprivate init(_ json: JSONObject) throws {
        self.init()
        isOpen = json["open"]?.bool ?? false
        for element in json["faults"]?.array ?? [] {
            guard let fault = element.string.flatMap(ZoneFault.init(rawValue:)) else {
                throw SnapshotError(description: "a zone's fault is unknown")
            }
            faults.insert(fault)
        }
        isOffline = json["offline"]?.bool ?? false
        at = json.optionalInstant("at")
        recentOpens = json.instants("opens")
        recentTampers = json.instants("tampers")
        pendingUntil = json.optionalInstant("pending")
    }
}

extension ScheduleState {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("definition", definition)
        writer.member("occurrence", ifPresent: occurrence)
        writer.member("due", ifPresent: dueAt)
        writer.member("warn", ifPresent: warnAt)
        writer.member("retry_until", ifPresent: retryUntil)
        writer.member("exit_retry_until", ifPresent: exitRetryUntil)
        writer.member("late_since", ifPresent: lateSince)
        writer.member("handled", ifPresent: handledThrough)
        writer.member("skipped", ifPresent: skipped?.occurrence)
        writer.member("skipped_until", ifPresent: skipped?.until)
    }

    fileprivate init(_ json: JSONObject) throws {
        self.init(definition: try json.number("definition"))
        occurrence = json.optionalInstant("occurrence")
        dueAt = json.optionalInstant("due")
        warnAt = json.optionalInstant("warn")
        retryUntil = json.optionalInstant("retry_until")
        exitRetryUntil = json.optionalInstant("exit_retry_until")
        lateSince = json.optionalInstant("late_since")
        handledThrough = json.optionalInstant("handled")
        if let occurrence = json.optionalInstant("skipped"), let until = json.optionalInstant("skipped_until") {
            skipped = SkippedRun(occurrence: occurrence, until: until)
        }
    }
}

// MARK: - Pieces

extension JSONWriter {
    mutating func member(_ name: String, ifPresent instant: Instant?) {
        if let instant { member(name, instant.millisecondsSinceEpoch) }
    }

    mutating func instants(_ name: String, _ instants: [Instant]) {
        member(name, .array(instants.map { .integer($0.millisecondsSinceEpoch) }))
    }

    mutating func attribution(_ name: String, _ by: Attribution) {
        self.name(name)
        object { writer in
            writer.member("user", ifPresent: by.userID)
            writer.member("name", ifPresent: by.name)
            writer.member("source", by.source.rawValue)
        }
    }

    fileprivate mutating func bypasses(_ name: String, _ bypasses: [ZoneID: BypassReason]) {
        self.name(name)
        object { writer in
            for (zone, reason) in bypasses.sorted(by: { $0.key < $1.key }) { writer.member(zone.text, reason.rawValue) }
        }
    }

    /// An object by id, in the order of the ids: equal states have equal bytes (I20).
    mutating func map<Noun, Value>(
        _ name: String,
        _ values: [ID<Noun>: Value],
        _ write: (inout JSONWriter, Value) -> Void
    ) {
        self.name(name)
        object { writer in
            for (id, value) in values.sorted(by: { $0.key < $1.key }) {
                writer.name(id.text)
                writer.object { write(&$0, value) }
            }
        }
    }
}

extension JSONObject {
    func optionalInstant(_ name: String) -> Instant? {
        self[name]?.integer.map { Instant(millisecondsSinceEpoch: $0) }
    }

    fileprivate func instants(_ name: String) -> [Instant] {
        self[name]?.array?.compactMap { $0.integer.map { Instant(millisecondsSinceEpoch: $0) } } ?? []
    }

    func ids<Noun>(_ name: String) -> [ID<Noun>] {
        self[name]?.array?.compactMap { $0.string.map(ID<Noun>.init(stored:)) } ?? []
    }

    fileprivate func bypasses(_ name: String) -> [ZoneID: BypassReason] {
        var result: [ZoneID: BypassReason] = [:]
        for member in self[name]?.object?.members ?? [] {
            result[ZoneID(stored: member.name)] = member.value.string.flatMap(BypassReason.init(rawValue:)) ?? .manual
        }
        return result
    }

    func attribution(_ name: String) throws -> Attribution {
        guard let json = self[name]?.object, let source = try json.source() else {
            throw SnapshotError(description: "the member \"\(name)\" of a state is not an attribution")
        }
        return Attribution(userID: json["user"]?.string, name: json["name"]?.string, source: source)
    }
}
