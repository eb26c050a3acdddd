import GRDB
import TocsinCore

/// What is kept of a site beside its state.
struct StoredState: Sendable {
    var place: Int64
    var version: Int64
    /// When the site must be looked at next.
    var due: Instant?
    /// The newest entry of the site's history.
    var history: Int64?
}

/// Stores sites' states, with statements that are prepared once.
///
/// Remembers what it stored, so that a site's next decision need not look it up. The memory may be wrong, for other
/// processes write too: each update names what it replaces, and where that is not there the site is looked up.
struct StateWriter {
    /// Some 30 MiB; beyond that everything is forgotten.
    private static let knownMaximum = 250_000

    private(set) var known: [SiteID: StoredState]
    private let lookUp: PreparedStatement
    private let update: PreparedStatement
    private let updateWithDue: PreparedStatement
    private let updateHistory: PreparedStatement

    init(_ database: Database, known: [SiteID: StoredState], on desk: BindingDesk) throws {
        self.known = known
        let old = "place = ? AND site_id = ? AND version = ? AND last_history IS ?"
        lookUp = try PreparedStatement(
            database,
            "SELECT place, version, next_due, last_history FROM site_state WHERE site_id = ?",
            on: desk
        )
        update = try PreparedStatement(
            database,
            "UPDATE site_state SET state = ?, version = ?, last_history = ? WHERE \(old)",
            on: desk
        )
        updateWithDue = try PreparedStatement(
            database,
            "UPDATE site_state SET state = ?, version = ?, last_history = ?, next_due = ? WHERE \(old)",
            on: desk
        )
        updateHistory = try PreparedStatement(
            database,
            "UPDATE site_state SET last_history = ? WHERE \(old)",
            on: desk
        )
    }

    /// Stores a site's new state over the version that was decided on.
    ///
    /// - Parameters:
    ///   - site: The site.
    ///   - version: The version that must be there.
    ///   - snapshot: The new state, if it is a new one.
    ///   - due: When the site must be looked at next, by the new state.
    ///   - history: The newest entry of the site's history, if there is a new one.
    /// - Returns: What was there before; nil if the site is gone or of another version.
    /// - Throws: What SQLite says, the first of it that fails.
    mutating func store(
        _ site: SiteID,
        version: Int64,
        snapshot: [UInt8]?,
        due: Instant?,
        history: Int64?
    ) throws -> StoredState? {
        let changes = snapshot != nil || history != nil
        if changes, let before = known[site], before.version == version,
            try replace(before, of: site, snapshot, due, history)
        {
            return before
        }
        known[site] = nil
        guard let before = try find(site), before.version == version else { return nil }
        if changes { _ = try replace(before, of: site, snapshot, due, history) }
        return before
    }

    private func find(_ site: SiteID) throws -> StoredState? {
        try lookUp.first(site) { row in
            StoredState(
                place: row.integer(0),
                version: row.integer(1),
                due: row.optional(2, row.instant),
                history: row.optional(3, row.integer)
            )
        }
    }

    /// Replaces what is there by what is new; false if something else is there.
    private mutating func replace(
        _ before: StoredState,
        of site: SiteID,
        _ snapshot: [UInt8]?,
        _ due: Instant?,
        _ history: Int64?
    ) throws -> Bool {
        let (place, version) = (before.place, before.version)
        var after = before
        after.history = history ?? before.history
        let count: Int
        if let snapshot {
            after.version += 1
            after.due = due
            // SQLite would write the index of deadlines anew, though nothing of it changes.
            count =
                due == before.due
                ? try update.run(snapshot, after.version, after.history, place, site, version, before.history)
                : try updateWithDue.run(
                    snapshot,
                    after.version,
                    after.history,
                    due,
                    place,
                    site,
                    version,
                    before.history
                )
        } else {
            count = try updateHistory.run(after.history, place, site, version, before.history)
        }
        if count == 0 { return false }
        if known.count >= Self.knownMaximum, known[site] == nil { known.removeAll() }
        known[site] = after
        return true
    }
}
