import TocsinCore

/// Where everything that must not be lost is kept; one instance has one data directory or database.
///
/// The port names verbs, not SQL: an adapter per database implements them, and one conformance suite runs over all.
/// Nothing above an adapter may know which it is.
package protocol Ledger: Sendable {
    /// Queues decisions to be committed, each whole or not at all, all of them with one durable write; at most one per site.
    ///
    /// They are in the queue when this returns: who calls twice, one after the other, is served in that order.
    func queue(_ decisions: [Decision]) -> QueuedCommit

    /// Records what became of deliveries; like ``commit(_:)``, shares its durable write with whatever else is waiting.
    func record(_ batch: DeliveryBatch) async throws(LedgerError)

    /// Loads what the arming machine needs of these sites; a site that does not exist is missing in the answer.
    func load(_ sites: [SiteID]) async throws(LedgerError) -> [SiteID: SiteRecord]

    /// Runs `body` in one transaction that is durable when this returns; if it throws, nothing of it is kept.
    ///
    /// The body may run more than once and must have no effect but through its transaction.
    func write<T: Sendable>(_ body: @escaping @Sendable (any LedgerTransaction) throws -> T) async throws -> T

    /// Runs `body` over one consistent state.
    func read<T: Sendable>(_ body: @escaping @Sendable (any LedgerReader) throws -> T) async throws -> T

    /// Tries to write if the last commit was refused whatever was in it; does nothing else.
    ///
    /// - Throws: Why nothing can be written.
    func checkWritable() async throws(LedgerError)

    /// Copies the whole ledger into a new file while it is in use.
    func backup(to path: String) async throws(LedgerError)

    /// Closes the ledger after the last write has become durable.
    func close() async throws(LedgerError)
}

/// What went wrong with the ledger itself.
package struct LedgerError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// No space is left; nothing was committed, and later commits may succeed.
        case full
        /// The ledger could not be read or written just now; nothing was committed.
        case unavailable
        /// Another process holds the ledger.
        case locked
        /// The file is damaged or is not a ledger.
        case corrupt
        /// The ledger was written by a newer program.
        case newerSchema
        /// A unique name or number is taken already; `subject` says which.
        case duplicate
        /// A page cursor or another argument that the ledger cannot use.
        case invalid
    }

    package var code: Code
    package var message: String
    /// What exactly is taken, for `duplicate`: a field's name.
    package var subject: String?

    package init(_ code: Code, _ message: String, subject: String? = nil) {
        self.code = code
        self.message = message
        self.subject = subject
    }

    package var description: String { "\(code.rawValue): \(message)" }
}

/// A site as the engine holds it: configuration, arming state, and the version that the next commit must name.
package final class SiteRecord: Hashable, Sendable {
    /// Seldom changed: the records of one site after the other share it.
    private final class Shared: Sendable {
        let configuration: SiteConfiguration

        init(_ configuration: SiteConfiguration) { self.configuration = configuration }
    }

    private let shared: Shared
    package var configuration: SiteConfiguration { shared.configuration }
    package let state: SiteState
    /// +1 with every stored change of the site's state or configuration.
    package let version: Int64
    /// The version that callers are shown and name: without the looks that only the engine had.
    package var shownVersion: Int64 { version - state.looks }
    /// The configuration was changed since the machine last saw it.
    package let isReconfigured: Bool

    package init(
        configuration: SiteConfiguration,
        state: SiteState,
        version: Int64,
        isReconfigured: Bool = false
    ) {
        shared = Shared(configuration)
        self.state = state
        self.version = version
        self.isReconfigured = isReconfigured
    }

    /// The same site in another state, seen by the machine.
    private init(_ before: SiteRecord, _ state: SiteState, _ version: Int64) {
        shared = before.shared
        self.state = state
        self.version = version
        isReconfigured = false
    }

    /// The same site in another state, seen by the machine.
    package func changed(to state: SiteState, version: Int64) -> SiteRecord { SiteRecord(self, state, version) }

    package static func == (a: SiteRecord, b: SiteRecord) -> Bool {
        a.version == b.version && a.isReconfigured == b.isReconfigured && a.state == b.state
            && (a.shared === b.shared || a.configuration == b.configuration)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(configuration.site.id)
        hasher.combine(version)
    }
}

/// What became of a decision.
package enum CommitOutcome: Sendable {
    /// It is durable; these are its events, with their places in the log.
    case committed(events: [LoggedEvent], version: Int64)
    /// The site or an alarm of it has changed since, or the site is gone: load it and decide again.
    case conflict
    /// These of its report and signal ids were seen on this site within 7 days; nothing was stored.
    case knownReports(ids: [String])
    /// One of its idempotency keys is stored already; nothing was stored.
    case knownKey(IdempotencyRecord)
}

/// A stored reply, so that a repeated request has no second effect (decisions §1).
package struct IdempotencyRecord: Hashable, Sendable {
    /// Who asked: `app:…`, `partner:…`, `admin:…`; not the credential.
    package var caller: String
    package var method: String
    package var path: String
    package var key: String
    /// A keyed hash of the request's bytes.
    package var payloadHash: [UInt8]
    package var status: Int
    /// The reply's body, sealed: it may hold a secret.
    package var sealedReply: [UInt8]
    package var createdAt: Instant

    package init(
        caller: String,
        method: String,
        path: String,
        key: String,
        payloadHash: [UInt8],
        status: Int,
        sealedReply: [UInt8],
        createdAt: Instant
    ) {
        self.caller = caller
        self.method = method
        self.path = path
        self.key = key
        self.payloadHash = payloadHash
        self.status = status
        self.sealedReply = sealedReply
        self.createdAt = createdAt
    }

    /// How long a key is remembered (decisions §1).
    package static let lifetime: Duration = .seconds(86_400)
}

/// A page of a list: what to ask for.
package struct PageRequest: Sendable {
    package static let maximumLimit = 200
    package static let defaultLimit = 50

    package var limit: Int
    /// The key of the last item that was seen, in the list's own order.
    package var after: String?

    package init(limit: Int = PageRequest.defaultLimit, after: String? = nil) {
        self.limit = limit
        self.after = after
    }
}

/// A page of a list: what came back.
package struct Page<Item: Sendable>: Sendable {
    package var items: [Item]
    /// The key to ask on from; none on the last page.
    package var next: String?

    package init(items: [Item], next: String?) {
        self.items = items
        self.next = next
    }
}

extension Instant {
    /// The deadline of a site whose configuration was changed: earlier than any other.
    package static let reconfigured = Instant(millisecondsSinceEpoch: 0)
}
