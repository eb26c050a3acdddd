import TocsinCore
import TocsinLedger

/// A stored snapshot that a signal or a raised alarm names, with the address that the alarm's event tells.
package struct NamedSnapshot: Hashable, Sendable {
    package var id: SnapshotID
    package var url: String

    package init(id: SnapshotID, url: String) {
        self.id = id
        self.url = url
    }
}

extension Plan {
    /// The event of an alarm that is being raised, with the snapshot that is there already; from now on that belongs to it.
    ///
    /// It is the one that a signal of the zone named, else the newest of the device that belongs to no alarm.
    mutating func showing(_ created: AlarmCreated, of alarm: Alarm?) -> AlarmCreated {
        guard created.snapshotURL == nil else { return created }
        let taken = Set(decision.snapshotLinks.map(\.snapshotID))
        let named = (namedSnapshots + heldSnapshots(for: alarm)).first { signal, snapshot in
            names(signal, created, alarm) && !taken.contains(snapshot.id)
        }
        guard let snapshot = named?.1 ?? newestSnapshot(of: created.deviceID) else { return created }
        return showing(created, snapshot)
    }

    /// Keeps what accepted signals name and no alarm has taken, for the alarm of the countdown that they may have begun.
    mutating func holdNamedSnapshots(at instant: Instant, _ answers: [SignalAnswer], of signals: [Signal]) {
        let taken = Set(decision.snapshotLinks.map(\.snapshotID))
        let accepted = Set(zip(signals, answers).filter { $1.outcome == .accepted }.map(\.0.origin))
        let held = namedSnapshots.filter { accepted.contains($0.0.origin) && !taken.contains($0.1.id) }
        tools.recentSnapshots.hold(held, at: instant, of: decision.siteID)
        namedSnapshots = []
    }

    /// What was named since the alarm's countdown, or its abort window, began.
    private func heldSnapshots(for alarm: Alarm?) -> [(Signal, NamedSnapshot)] {
        guard let partition = alarm?.partitionID.flatMap({ record.state.partitions[$0] }) else { return [] }
        let waiting = partition.incidents.filter { $0.abortUntil != nil }.map(\.openedAt)
        guard let since = (waiting + [partition.countdown?.startedAt].compactMap(\.self)).min() else { return [] }
        return tools.recentSnapshots.held(of: decision.siteID, since: since)
    }

    /// The pictures of what has tripped in an alarm that is there already; they belong to it from now on.
    ///
    /// Of each zone those that its signals named, else the newest of its device that belongs to no alarm.
    mutating func takePictures(of activity: AlarmActivity, for alarm: Alarm) -> [SnapshotID] {
        let numbers = Set(activity.zones.map(\.number))
        if numbers.isEmpty { return [] }
        // What trips within the interval is told together, at its end.
        let recent = tools.recentSnapshots.held(of: decision.siteID, since: decision.at - Incident.activityInterval)
        let named = namedSnapshots + heldSnapshots(for: alarm) + recent
        var taken = Set(decision.snapshotLinks.map(\.snapshotID))
        var found: [SnapshotID] = []
        for zone in record.configuration.zones where numbers.contains(zone.number) {
            var own = named.filter { names($0.0, zone) && !taken.contains($0.1.id) }.map(\.1.id)
            if own.isEmpty, let newest = newestSnapshot(of: zone.deviceID) { own = [newest.id] }
            for id in own where taken.insert(id).inserted {
                decision.snapshotLinks.append(SnapshotLink(snapshotID: id, alarm: .incident(alarm.incident)))
                found.append(id)
            }
        }
        return found
    }

    /// Incidents that were reported, have had one of these zones trip, and began or were told of since.
    func incidents(trippedBy zones: Set<ZoneID>, since: Instant) -> Set<IncidentID> {
        let incidents = machine.state.partitions.values.flatMap(\.incidents).filter { incident in
            incident.reportedAt != nil && max(incident.openedAt, incident.toldAt ?? incident.openedAt) >= since
                && incident.zones.contains(where: zones.contains)
        }
        return Set(incidents.map(\.id))
    }

    private func names(_ signal: Signal, _ zone: Zone) -> Bool {
        switch signal.origin {
        case .device(let device): zone.deviceID == device
        case .number(let number): zone.number == number
        case .zone(let id): zone.id == id
        }
    }

    /// The event with this snapshot, which belongs to the alarm from now on.
    mutating func showing(_ created: AlarmCreated, _ snapshot: NamedSnapshot) -> AlarmCreated {
        var created = created
        created.snapshotURL = snapshot.url
        decision.snapshotLinks.append(SnapshotLink(snapshotID: snapshot.id, alarm: created.alarm))
        return created
    }

    private func newestSnapshot(of device: DeviceID?) -> NamedSnapshot? {
        guard let device, let entry = tools.recentSnapshots.newest(of: device, at: decision.at, beside: decision) else {
            return nil
        }
        return NamedSnapshot(id: entry.id, url: entry.url)
    }

    /// Whether the signal came from the zone, or the device, that the alarm was raised for.
    private func names(_ signal: Signal, _ created: AlarmCreated, _ alarm: Alarm?) -> Bool {
        switch signal.origin {
        case .device(let device): created.deviceID == device
        case .number(let number): alarm?.zones.first?.number == number
        case .zone(let id):
            record.configuration.zone(id).map { $0.number == alarm?.zones.first?.number } ?? false
        }
    }
}
