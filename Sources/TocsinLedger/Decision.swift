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
    package var at: Instant
    /// What was encoded already; nothing of the decision but its moment changes after that.
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
        self.at = at
        box = Box(
            Parts(
                siteID: siteID,
                dealerID: dealerID,
                partnerID: partnerID,
                baseVersion: baseVersion,
                newState: newState,
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

    /// An encoded decision at another moment; nil if it cannot be moved.
    ///
    /// What tells the moment is right from then on in ``encoded`` alone, which is what is stored and published.
    package func moved(to at: WrittenInstant) -> Decision? {
        guard let encoded = encoded?.moved(to: at) else { return nil }
        var moved = self
        moved.at = at.instant
        moved.encoded = encoded
        return moved
    }

    /// Whether moving this decision to the moment of the other makes the other of it, but for the ids of their events, so
    /// that nothing else of them depends on the moment; both must be encoded.
    package func isMovable(to other: Decision) -> Bool {
        guard let encoded, let moved = encoded.moved(to: WrittenInstant(other.at)),
            moved == other.encoded?.renamed(as: encoded.events.map(\.head.id))
        else { return false }
        return marks == other.marks && newState == other.newState && baseVersion == other.baseVersion
            && isStateAlone && other.isStateAlone
    }

    /// Whether nothing but a state, events, audit entries and marks would be stored.
    package var isStateAlone: Bool {
        let parts = box.parts
        return parts.alarms.isEmpty && parts.deviceChanges.isEmpty && parts.reportIDs.isEmpty
            && parts.idempotency.isEmpty && parts.notices.isEmpty && parts.snapshots.isEmpty
            && parts.snapshotLinks.isEmpty && parts.relayCommands.isEmpty
    }

    /// Whether somebody hears of an alarm by it.
    package var tellsAlarm: Bool {
        guard let encoded else { return box.parts.events.contains { $0.body.type.isAlarmClass } }
        return encoded.events.contains { $0.head.type.isAlarmClass }
    }

    /// An encoded decision without what only its encoding needed.
    ///
    /// What is held for long, and taken apart in a busy moment, is better small.
    package func bare() -> Decision {
        var bare = self
        (bare.events, bare.audit) = ([], [])
        return bare
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
        get { box.parts.siteID }
        _modify {
            own()
            yield &box.parts.siteID
        }
    }

    package var dealerID: DealerID {
        get { box.parts.dealerID }
        _modify {
            own()
            yield &box.parts.dealerID
        }
    }

    package var partnerID: PartnerID? {
        get { box.parts.partnerID }
        _modify {
            own()
            yield &box.parts.partnerID
        }
    }

    /// The version that was decided on.
    package var baseVersion: Int64 {
        get { box.parts.baseVersion }
        _modify {
            own()
            yield &box.parts.baseVersion
        }
    }

    /// The new state; none where only the audit log gets an entry.
    package var newState: SiteState? {
        get { box.parts.newState }
        _modify {
            own()
            yield &box.parts.newState
        }
    }

    /// The alarms that it raises or changes; stored only if all of those are still of the versions decided on.
    package var alarms: [AlarmChange] {
        get { box.parts.alarms }
        _modify {
            own()
            yield &box.parts.alarms
        }
    }

    package var deviceChanges: [DeviceChange] {
        get { box.parts.deviceChanges }
        _modify {
            own()
            yield &box.parts.deviceChanges
        }
    }

    package var events: [EventDraft] {
        get { box.parts.events }
        _modify {
            own()
            yield &box.parts.events
        }
    }

    package var audit: [AuditEntry] {
        get { box.parts.audit }
        _modify {
            own()
            yield &box.parts.audit
        }
    }

    package var marks: [ScorecardMark] {
        get { box.parts.marks }
        _modify {
            own()
            yield &box.parts.marks
        }
    }

    /// The partner's own ids of the reports: seen before on the site within 7 days, the decision is not committed.
    package var reportIDs: [String] {
        get { box.parts.reportIDs }
        _modify {
            own()
            yield &box.parts.reportIDs
        }
    }

    package var idempotency: [IdempotencyRecord] {
        get { box.parts.idempotency }
        _modify {
            own()
            yield &box.parts.idempotency
        }
    }

    /// What the site's people are told; the commit finds out who they are.
    package var notices: [IssuedNotice] {
        get { box.parts.notices }
        _modify {
            own()
            yield &box.parts.notices
        }
    }

    /// Snapshots whose files are on the disk already.
    package var snapshots: [SnapshotDraft] {
        get { box.parts.snapshots }
        _modify {
            own()
            yield &box.parts.snapshots
        }
    }

    /// Stored snapshots that get an alarm.
    package var snapshotLinks: [SnapshotLink] {
        get { box.parts.snapshotLinks }
        _modify {
            own()
            yield &box.parts.snapshotLinks
        }
    }

    /// What those who switch relays are told; a newer command of a relay takes the place of one that was not delivered.
    package var relayCommands: [RelayCommand] {
        get { box.parts.relayCommands }
        _modify {
            own()
            yield &box.parts.relayCommands
        }
    }
}
