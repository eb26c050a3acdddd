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

    /// Longer than an entry delay and an abort window together.
    private static let heldFor: Duration = .seconds(900)

    private let sites = Mutex<[SiteID: [Entry]]>([:])
    private let held = Mutex<[SiteID: [Held]]>([:])

    /// A snapshot that a signal has named before there was an alarm to show it.
    private struct Held {
        var signal: Signal
        var snapshot: NamedSnapshot
        var at: Instant
    }

    /// Keeps what signals have named, until their alarm is made or can no longer be.
    func hold(_ named: [(Signal, NamedSnapshot)], at now: Instant, of site: SiteID) {
        if named.isEmpty { return }
        held.withLock { held in
            let horizon = now - Self.heldFor
            if held.count >= Self.sitesMaximum { held = held.filter { $0.value.contains { $0.at >= horizon } } }
            var kept = held[site, default: []].filter { entry in
                entry.at >= horizon && !named.contains { $0.1.id == entry.snapshot.id }
            }
            kept += named.map { Held(signal: $0.0, snapshot: $0.1, at: now) }
            held[site] = Array(kept.suffix(Self.entriesPerSite))
        }
    }

    /// What was held of a site since, in its order.
    func held(of site: SiteID, since: Instant) -> [(Signal, NamedSnapshot)] {
        held.withLock { $0[site] ?? [] }.filter { $0.at >= since }.map { ($0.signal, $0.snapshot) }
    }

    /// Takes over what was committed.
    func committed(_ decision: Decision) {
        if decision.snapshots.isEmpty, decision.snapshotLinks.isEmpty { return }
        let linked = Set(decision.snapshotLinks.map(\.snapshotID))
        held.withLock { held in
            held[decision.siteID]?.removeAll { linked.contains($0.snapshot.id) }
            if held[decision.siteID]?.isEmpty == true { held[decision.siteID] = nil }
        }
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
