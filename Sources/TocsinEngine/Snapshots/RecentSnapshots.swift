import Synchronization
import TocsinCore
import TocsinLedger

/// Snapshots that belong to no alarm and are young enough to be shown with the next one of their device.
///
/// Kept in memory only: what a restart forgets is an address in one event; the snapshot and its own event are there.
final class RecentSnapshots: Sendable {
    /// A snapshot, and the address that events tell.
    struct Entry: Hashable, Sendable {
        var id: SnapshotID
        var deviceID: DeviceID
        var url: String
        var createdAt: Instant

        init(_ draft: SnapshotDraft) {
            id = draft.snapshot.id
            deviceID = draft.snapshot.deviceID
            url = draft.url
            createdAt = draft.snapshot.createdAt
        }
    }

    /// More sites than these are looked through for those whose snapshots are old.
    private static let sitesMaximum = 10_000
    /// More than a site's cameras upload in so short a time; the oldest are forgotten.
    private static let entriesPerSite = 100

    private let sites = Mutex<[SiteID: [Entry]]>([:])

    /// Takes over what was committed.
    func committed(_ decision: Decision) {
        if decision.snapshots.isEmpty, decision.snapshotLinks.isEmpty { return }
        let linked = Set(decision.snapshotLinks.map(\.snapshotID))
        let horizon = decision.at - Snapshot.recency
        sites.withLock { sites in
            if sites.count >= Self.sitesMaximum {
                sites = sites.filter { $0.value.contains { $0.createdAt >= horizon } }
            }
            var entries = sites[decision.siteID] ?? []
            entries += decision.snapshots.filter { $0.alarm == nil }.map(Entry.init)
            entries.removeAll { linked.contains($0.id) || $0.createdAt < horizon }
            sites[decision.siteID] = entries.isEmpty ? nil : Array(entries.suffix(Self.entriesPerSite))
        }
    }

    /// The newest snapshot of a device that is young enough at that instant; what the decision in the making adds and
    /// takes counts too.
    func newest(of device: DeviceID, at now: Instant, beside decision: Decision) -> Entry? {
        let known = sites.withLock { $0[decision.siteID] ?? [] }
        let added = decision.snapshots.filter { $0.alarm == nil }.map(Entry.init)
        let taken = Set(decision.snapshotLinks.map(\.snapshotID))
        return (known + added).last { entry in
            entry.deviceID == device && entry.createdAt >= now - Snapshot.recency && !taken.contains(entry.id)
        }
    }
}
