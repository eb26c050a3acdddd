import TocsinJSON

/// A stored snapshot that this program cannot read.
package struct SnapshotError: Error, Sendable, CustomStringConvertible {
    package var description: String
}

extension SiteState {
    /// The form in which the ledger keeps the state: compact JSON, partitions by id, absent members for what is not so.
    package var snapshot: [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.object { writer in
            for (id, partition) in partitions {
                writer.name(id.text)
                writer.object { partition.write(to: &$0) }
            }
            writePanel(to: &writer)
        }
        return writer.bytes
    }

    /// Reads what ``snapshot`` wrote.
    package init(snapshot: [UInt8]) throws {
        guard let object = try JSONParser.parse(snapshot).object else {
            throw SnapshotError(description: "a site's state is not an object")
        }
        self.init()
        try readPanel(object)
        for member in object.members where !Self.panelMembers.contains(member.name) {
            guard let json = member.value.object else {
                throw SnapshotError(description: "the state of \(member.name) is not an object")
            }
            partitions[PartitionID(stored: member.name)] = try PartitionState(json)
        }
    }
}

extension PartitionState {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("phase", phase.wireState)
        switch phase {
        case .disarmed: break
        case .arming(let target, let from):
            writer.member("mode", ifPresent: target?.wireName)
            writer.member("from", ifPresent: from?.wireName)
        case .armed(let mode), .entry(let mode): writer.member("mode", mode.wireName)
        }
        writer.member("since", since.millisecondsSinceEpoch)
        writer.member("version", version)
        if let by {
            writer.member("user", ifPresent: by.userID)
            writer.member("name", ifPresent: by.name)
            writer.member("source", by.source.rawValue)
        }
        if let countdown {
            writer.name("countdown")
            writer.object { writer in
                writer.member("started", countdown.startedAt.millisecondsSinceEpoch)
                writer.member("deadline", countdown.deadline.millisecondsSinceEpoch)
                writer.member("zone", ifPresent: countdown.zoneName)
                if !countdown.zones.isEmpty { writer.member("zones", JSON(countdown.zones.map(\.text))) }
                if countdown.isExitError { writer.member("exit_error", true) }
                writer.member("off_route", ifPresent: countdown.offRouteZone?.text)
            }
        }
        if let overdueAt { writer.member("overdue", overdueAt.millisecondsSinceEpoch) }
        if alarmMemory { writer.member("alarm_memory", true) }
        writePanel(to: &writer)
        if let order { order.write(to: &writer) }
    }

    fileprivate init(_ json: JSONObject) throws {
        self.init(since: try json.instant("since"))
        phase = try Phase(json)
        version = try json.number("version")
        if let source = try json.source() {
            by = Attribution(userID: json["user"]?.string, name: json["name"]?.string, source: source)
        }
        if let stored = json["countdown"]?.object {
            countdown = EntryCountdown(
                startedAt: try stored.instant("started"),
                deadline: try stored.instant("deadline"),
                zoneName: stored["zone"]?.string
            )
            countdown?.zones = stored.ids("zones")
            countdown?.isExitError = stored["exit_error"]?.bool ?? false
            countdown?.offRouteZone = stored["off_route"]?.string.map(ZoneID.init(stored:))
        }
        if json["overdue"] != nil { overdueAt = try json.instant("overdue") }
        alarmMemory = json["alarm_memory"]?.bool ?? false
        try readPanel(json)
        if json["reported"] != nil { order = try ReportOrder(json) }
    }
}

extension Phase {
    fileprivate init(_ json: JSONObject) throws {
        let mode = json["mode"]?.string.map(ArmingMode.init(wireName:))
        let name = json["phase"]?.string ?? ""
        switch (ReportedState(wire: name), mode) {
        case (.disarmed, _): self = .disarmed
        case (.armingInProgress, _):
            self = .arming(target: mode, from: json["from"]?.string.map(ArmingMode.init(wireName:)))
        case (.entryDelay, let mode?): self = .entry(mode)
        case (.armedAway, let mode?), (.armedStay, let mode?), (.armedNight, let mode?), (.armedCustom, let mode?):
            self = .armed(mode)
        case (.armFailure, _), (.entryDelay, nil), (.armedAway, nil), (.armedStay, nil), (.armedNight, nil),
            (.armedCustom, nil), (nil, _):
            throw SnapshotError(description: "the phase \"\(name)\" is unknown or lacks its mode")
        }
    }
}

extension ReportOrder {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.member("reported", timestamp.millisecondsSinceEpoch)
        if wasAhead { writer.member("ahead", true) }
        if let floor { writer.member("floor", floor.millisecondsSinceEpoch) }
        writer.name("applied")
        writer.array { writer in
            for report in applied {
                writer.array { writer in
                    writer.integer(report.timestamp.millisecondsSinceEpoch)
                    writer.string(report.state.rawValue)
                    if let mode = report.customMode { writer.string(mode) }
                }
            }
        }
    }

    fileprivate init(_ json: JSONObject) throws {
        let applied = try (json["applied"]?.array ?? []).map { element in
            guard let parts = element.array, parts.count >= 2, let at = parts[0].integer,
                let state = parts[1].string.flatMap(ReportedState.init(wire:))
            else { throw SnapshotError(description: "an applied report of a state cannot be read") }
            return AppliedReport(
                timestamp: Instant(millisecondsSinceEpoch: at),
                state: state,
                customMode: parts.count > 2 ? parts[2].string : nil
            )
        }
        self.init(
            timestamp: try json.instant("reported"),
            wasAhead: json["ahead"]?.bool ?? false,
            floor: json["floor"] == nil ? nil : try json.instant("floor"),
            applied: applied
        )
    }
}

extension JSONObject {
    func number(_ name: String) throws -> Int64 {
        guard let value = self[name]?.integer else {
            throw SnapshotError(description: "the member \"\(name)\" of a state is missing or not a number")
        }
        return value
    }

    func instant(_ name: String) throws -> Instant {
        Instant(millisecondsSinceEpoch: try number(name))
    }

    func source() throws -> Source? {
        guard let text = self["source"]?.string else { return nil }
        guard let source = Source(rawValue: text) else {
            throw SnapshotError(description: "the source \"\(text)\" is unknown")
        }
        return source
    }
}
