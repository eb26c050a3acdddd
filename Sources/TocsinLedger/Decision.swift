import TocsinCore
import TocsinJSON

/// What follows from one command on a site: stored in one transaction or not at all.
///
/// It is handed on several times between those who decide, encode and write, so copies share what they hold until one of
/// them is changed.
package struct Decision: Sendable {
    private struct Parts: Sendable {
        var siteID: SiteID
        var dealerID: DealerID
        var partnerID: PartnerID?
        var baseVersion: Int64
        var newState: SiteState?
        var at: Instant
        var alarms: [AlarmChange]
        var deviceChanges: [DeviceChange] = []
        var events: [EventDraft]
        var audit: [AuditEntry]
        var marks: [ScorecardMark]
        var reportIDs: [String]
        var idempotency: [IdempotencyRecord]
        var notices: [IssuedNotice]
        var snapshots: [SnapshotDraft]
        var snapshotLinks: [SnapshotLink]
        var relayCommands: [RelayCommand]
    }

    /// Sendable: changed only while one decision alone holds it, so that no two threads can meet in it.
    private final class Box: @unchecked Sendable {
        var parts: Parts

        init(_ parts: Parts) { self.parts = parts }
    }

    private var box: Box
    /// What was encoded already; nothing of the decision changes after that.
    package private(set) var encoded: EncodedDecision?

    package init(
        siteID: SiteID,
        dealerID: DealerID,
        partnerID: PartnerID?,
        baseVersion: Int64,
        newState: SiteState?,
        at: Instant,
        alarms: [AlarmChange] = [],
        events: [EventDraft] = [],
        audit: [AuditEntry] = [],
        marks: [ScorecardMark] = [],
        reportIDs: [String] = [],
        idempotency: [IdempotencyRecord] = [],
        notices: [IssuedNotice] = [],
        snapshots: [SnapshotDraft] = [],
        snapshotLinks: [SnapshotLink] = [],
        relayCommands: [RelayCommand] = []
    ) {
        box = Box(
            Parts(
                siteID: siteID,
                dealerID: dealerID,
                partnerID: partnerID,
                baseVersion: baseVersion,
                newState: newState,
                at: at,
                alarms: alarms,
                events: events,
                audit: audit,
                marks: marks,
                reportIDs: reportIDs,
                idempotency: idempotency,
                notices: notices,
                snapshots: snapshots,
                snapshotLinks: snapshotLinks,
                relayCommands: relayCommands
            )
        )
    }

    private mutating func own() {
        if !isKnownUniquelyReferenced(&box) { box = Box(box.parts) }
    }

    /// Moves an encoded decision to another moment, with new ids for its events; false, and of no use any more, if it
    /// cannot be.
    ///
    /// What the audit entries tell in detail is from then on in ``encoded`` alone.
    package mutating func move(to at: Instant, drawing id: () -> EventID) -> Bool {
        guard let moved = encoded?.moved(to: at, drawing: id) else { return false }
        encoded = moved
        own()
        let before = box.parts.at
        box.parts.at = at
        for index in moved.events.indices { box.parts.events[index].id = moved.events[index].head.id }
        for index in box.parts.audit.indices {
            if box.parts.audit[index].at == before { box.parts.audit[index].at = at }
            box.parts.audit[index].details = [:]
        }
        return true
    }

    /// Whether moving this decision to the moment of the other makes the other of it, so that nothing else of them depends
    /// on the moment; both must be encoded.
    package func isMovable(to other: Decision) -> Bool {
        guard let encoded = other.encoded, encoded.events.count == events.count else { return false }
        var (moved, bare) = (self, other)
        var ids = encoded.events.map(\.head.id).makeIterator()
        guard moved.move(to: other.at, drawing: { ids.next() ?? encoded.events[0].head.id }) else { return false }
        for index in bare.audit.indices { bare.audit[index].details = [:] }
        return moved.encoded == encoded && moved.events == bare.events && moved.audit == bare.audit
            && moved.marks == bare.marks && moved.newState == bare.newState && moved.baseVersion == bare.baseVersion
            && moved.isStateAlone && bare.isStateAlone
    }

    /// Whether nothing but a state, events, audit entries and marks would be stored.
    package var isStateAlone: Bool {
        let parts = box.parts
        return parts.alarms.isEmpty && parts.deviceChanges.isEmpty && parts.reportIDs.isEmpty
            && parts.idempotency.isEmpty && parts.notices.isEmpty && parts.snapshots.isEmpty
            && parts.snapshotLinks.isEmpty && parts.relayCommands.isEmpty
    }

    /// Encodes what can be before the commit, which otherwise does it.
    package mutating func encode() {
        if encoded == nil { encoded = EncodedDecision(self) }
    }

    /// How long a partner's report id is remembered (decisions §4).
    package static let reportIDLifetime: Duration = .seconds(7 * 86_400)
}

extension Decision {
    package var siteID: SiteID {
        _read { yield box.parts.siteID }
        _modify {
            own()
            yield &box.parts.siteID
        }
    }

    package var dealerID: DealerID {
        _read { yield box.parts.dealerID }
        _modify {
            own()
            yield &box.parts.dealerID
        }
    }

    package var partnerID: PartnerID? {
        _read { yield box.parts.partnerID }
        _modify {
            own()
            yield &box.parts.partnerID
        }
    }

    /// The version that was decided on.
    package var baseVersion: Int64 {
        _read { yield box.parts.baseVersion }
        _modify {
            own()
            yield &box.parts.baseVersion
        }
    }

    /// The new state; none where only the audit log gets an entry.
    package var newState: SiteState? {
        _read { yield box.parts.newState }
        _modify {
            own()
            yield &box.parts.newState
        }
    }

    package var at: Instant {
        _read { yield box.parts.at }
        _modify {
            own()
            yield &box.parts.at
        }
    }

    /// The alarms that it raises or changes; stored only if all of those are still of the versions decided on.
    package var alarms: [AlarmChange] {
        _read { yield box.parts.alarms }
        _modify {
            own()
            yield &box.parts.alarms
        }
    }

    package var deviceChanges: [DeviceChange] {
        _read { yield box.parts.deviceChanges }
        _modify {
            own()
            yield &box.parts.deviceChanges
        }
    }

    package var events: [EventDraft] {
        _read { yield box.parts.events }
        _modify {
            own()
            yield &box.parts.events
        }
    }

    package var audit: [AuditEntry] {
        _read { yield box.parts.audit }
        _modify {
            own()
            yield &box.parts.audit
        }
    }

    package var marks: [ScorecardMark] {
        _read { yield box.parts.marks }
        _modify {
            own()
            yield &box.parts.marks
        }
    }

    /// The partner's own ids of the reports: seen before on the site within 7 days, the decision is not committed.
    package var reportIDs: [String] {
        _read { yield box.parts.reportIDs }
        _modify {
            own()
            yield &box.parts.reportIDs
        }
    }

    package var idempotency: [IdempotencyRecord] {
        _read { yield box.parts.idempotency }
        _modify {
            own()
            yield &box.parts.idempotency
        }
    }

    /// What the site's people are told; the commit finds out who they are.
    package var notices: [IssuedNotice] {
        _read { yield box.parts.notices }
        _modify {
            own()
            yield &box.parts.notices
        }
    }

    /// Snapshots whose files are on the disk already.
    package var snapshots: [SnapshotDraft] {
        _read { yield box.parts.snapshots }
        _modify {
            own()
            yield &box.parts.snapshots
        }
    }

    /// Stored snapshots that get an alarm.
    package var snapshotLinks: [SnapshotLink] {
        _read { yield box.parts.snapshotLinks }
        _modify {
            own()
            yield &box.parts.snapshotLinks
        }
    }

    /// What those who switch relays are told; a newer command of a relay takes the place of one that was not delivered.
    package var relayCommands: [RelayCommand] {
        _read { yield box.parts.relayCommands }
        _modify {
            own()
            yield &box.parts.relayCommands
        }
    }
}
