import TocsinCore

/// Everything that can be asked of the ledger.
///
/// Whatever belongs to a tenant is asked for within a ``Reach``: there is no lookup without it, so that no caller can
/// be answered with another tenant's data by an omission.
package protocol LedgerReader: TenantReader, SiteReader, AppReader, EndpointReader, EventReader, DeliveryReader,
    DeliveryTaskReader, NoticeReader, DeviceReader, SnapshotReader, RelayReader, AuditReader, AlarmReader,
    HousekeepingReader
{}

/// Everything that can be changed outside the hot path; all reads see the transaction's own writes.
package protocol LedgerTransaction: LedgerReader, TenantWriter, SiteWriter, AppWriter, EndpointWriter, EventWriter,
    DeliveryTaskWriter, NoticeWriter, DeviceWriter, SnapshotWriter, RelayWriter, AuditWriter, HousekeepingWriter
{}

// MARK: - Dealers, partners, admins

package protocol TenantReader {
    func dealers(within reach: Reach, page: PageRequest) throws -> Page<Dealer>
    /// The dealer, if the reach covers it: a partner's covers the dealers that have linked it.
    func dealer(_ id: DealerID, within reach: Reach) throws -> Dealer?
    func dealer(named name: String, within reach: Reach) throws -> Dealer?
    func partners(within reach: Reach, page: PageRequest) throws -> Page<Partner>
    /// The partner; a dealer's reach covers the partners that it has linked.
    func partner(_ id: PartnerID, within reach: Reach) throws -> Partner?
    func partner(named name: String, within reach: Reach) throws -> Partner?
    /// Credentials are looked up before there is a caller whose reach could be asked.
    func partner(authenticatingAs clientID: String) throws -> Partner?
    func adminToken(hash: String) throws -> AdminToken?
    func adminTokens(within reach: Reach) throws -> [AdminToken]
    func isLinked(_ dealer: DealerID, to partner: PartnerID) throws -> Bool
    func linkedPartners(of dealer: DealerID) throws -> [PartnerID]
    func linkedDealers(of partner: PartnerID) throws -> [DealerID]
    /// In the order of their dates.
    func holidays(of dealer: DealerID) throws -> [Holiday]
    func scorecard(of partner: PartnerID) throws -> [ScorecardMark: Int64]
}

package protocol TenantWriter {
    /// Throws `duplicate` (subject `name`) for a name that is taken.
    func insert(_ dealer: Dealer) throws
    func update(_ dealer: Dealer) throws
    /// Sets all of the dealer's holidays, which every platform-triggered site of the dealer takes over at once.
    func setHolidays(_ holidays: [Holiday], of dealer: DealerID) throws
    /// Deletes the dealer with everything that is its own. What is bulky is seen by nobody any more, and left to
    /// ``HousekeepingWriter/clearRemains(limit:)``; so it is where partners, apps and endpoints are deleted.
    func deleteDealer(_ id: DealerID) throws
    func insert(_ partner: Partner) throws
    func update(_ partner: Partner) throws
    func deletePartner(_ id: PartnerID) throws
    func link(_ dealer: DealerID, to partner: PartnerID) throws
    func unlink(_ dealer: DealerID, from partner: PartnerID) throws
    func insert(_ token: AdminToken) throws
    func update(_ token: AdminToken) throws
}

// MARK: - Sites

package struct SiteFilter: Sendable {
    package var dealerID: DealerID?
    package var partnerID: PartnerID?
    package var externalID: String?

    package init(dealerID: DealerID? = nil, partnerID: PartnerID? = nil, externalID: String? = nil) {
        self.dealerID = dealerID
        self.partnerID = partnerID
        self.externalID = externalID
    }
}

package protocol SiteReader {
    func sites(within reach: Reach, filter: SiteFilter, page: PageRequest) throws -> Page<Site>
    func site(_ id: SiteID, within reach: Reach) throws -> Site?
    func site(named name: String, of dealer: DealerID, within reach: Reach) throws -> Site?
    /// The site with its partitions, zones, state and version; without its people and schedules, which only the engine
    /// needs and which may be thousands (see ``Ledger/load(_:)``).
    func siteRecord(_ id: SiteID, within reach: Reach) throws -> SiteRecord?
    func fixtures(of site: SiteID, kind: FixtureKind, within reach: Reach) throws -> [Fixture]
    /// A page of them: zones by number, all others by name; none of a site that is out of reach.
    func fixtures(
        of site: SiteID,
        kind: FixtureKind,
        within reach: Reach,
        page: PageRequest
    ) throws -> Page<Fixture>
    func fixture(_ id: String, kind: FixtureKind, within reach: Reach) throws -> Fixture?
    func fixtureCount(of site: SiteID, kind: FixtureKind) throws -> Int
    /// Who holds the code with this keyed hash, as a normal code or one for duress.
    func codeHolder(_ hash: String, at site: SiteID) throws -> (user: UserID, isDuress: Bool)?
    /// Sites with a deadline, earliest first: what the timers are loaded from at start.
    func pendingDeadlines(after: (due: Instant, site: SiteID)?, limit: Int) throws -> [(site: SiteID, due: Instant)]
}

package protocol SiteWriter {
    /// Inserts the site with its partitions, all disarmed. Throws `duplicate` (subject `external_site_id` or `name`).
    func insert(_ site: Site, partitions: [Partition]) throws
    /// Every change of a site's configuration raises its version, so that no decision stands on an old one, and makes a
    /// platform-triggered site due at once: its deadlines may have moved.
    func update(_ site: Site) throws
    func deleteSite(_ id: SiteID) throws
    /// Throws `duplicate` (subject `number`).
    func insert(_ partition: Partition, since: Instant) throws
    func update(_ partition: Partition) throws
    func deletePartition(_ id: PartitionID, of site: SiteID) throws
    /// Throws `duplicate` (subject `number` or `name`; `code` for a user whose code another one of the site holds).
    func insert(_ fixture: Fixture) throws
    func update(_ fixture: Fixture) throws
    func deleteFixture(_ id: String, of site: SiteID) throws
}

// MARK: - Apps and endpoints

package protocol AppReader {
    func apps(within reach: Reach, page: PageRequest) throws -> Page<App>
    func app(_ id: AppID, within reach: Reach) throws -> App?
    func app(named name: String, of dealer: DealerID) throws -> App?
    /// The app and the key with this hash, whether or not it still works.
    func app(authenticatingWith hash: String) throws -> (app: App, key: AppKey)?
}

package protocol AppWriter {
    func insert(_ app: App) throws
    func update(_ app: App) throws
    func deleteApp(_ id: AppID) throws
    func insert(_ key: AppKey) throws
    /// Limits the life of all keys of the app but the one with this hash; the shorter life wins.
    func expireKeys(of app: AppID, except hash: String?, at instant: Instant) throws
}

package protocol EndpointReader {
    /// Endpoints of an app or a partner, by id.
    func endpoints(of owner: EndpointOwner) throws -> [Endpoint]
    /// A dealer's reach covers its apps' endpoints, a partner's its own.
    func endpoint(_ id: EndpointID, within reach: Reach) throws -> Endpoint?
    /// Endpoints whose ids end so, within reach: a delivery's id names its endpoint by that.
    func endpoint(suffix: String, within reach: Reach) throws -> Endpoint?
    /// Every endpoint with its signing secrets, in pages by id: what the delivery engine is started from.
    func allEndpoints(after: EndpointID?, limit: Int) throws -> [Endpoint]
    func secrets(of endpoint: EndpointID) throws -> [EndpointSecret]
    func cursors(of endpoint: EndpointID) throws -> [EventPosition]
}

package protocol EndpointWriter {
    /// Inserts an endpoint with its secret; its cursors start at the end of the log as it is now.
    func insert(_ endpoint: Endpoint, secret: EndpointSecret) throws
    func update(_ endpoint: Endpoint) throws
    func deleteEndpoint(_ id: EndpointID) throws
    func insert(_ secret: EndpointSecret) throws
    /// Limits the life of the secrets made before `instant` to `expiry`; the shorter life wins.
    func expireSecrets(of endpoint: EndpointID, madeBefore instant: Instant, at expiry: Instant) throws
    /// Moves a cursor to where the admin wants it, forwards or back (re-enable: skip to now, replay since).
    func setCursor(_ cursor: EndpointCursor) throws
    /// Ends as `withdrawn` whatever of the endpoint is still to be tried again (re-enable: skip to now); returns how many.
    @discardableResult
    func withdrawDeliveries(of endpoint: EndpointID, at instant: Instant) throws -> Int
    /// Forgets what became of the deliveries behind a place in a log, which is sent anew (re-enable: replay since).
    func forgetDeliveries(of endpoint: EndpointID, after place: EventPosition) throws
}

// MARK: - Events, deliveries, audit

package struct EventFilter: Sendable {
    package var types: Set<EventType>?
    package var siteID: SiteID?
    /// Only what this caller's audience covers: an app sees its own notices, nobody sees another's.
    package var appID: AppID?
    /// A partner sees its own sites' events only.
    package var partnerID: PartnerID?

    package init(
        types: Set<EventType>? = nil,
        siteID: SiteID? = nil,
        appID: AppID? = nil,
        partnerID: PartnerID? = nil
    ) {
        self.types = types
        self.siteID = siteID
        self.appID = appID
        self.partnerID = partnerID
    }
}

package protocol EventReader {
    /// A dealer's log after `sequence`, in order, unfiltered.
    func events(of dealer: DealerID, after sequence: Int64, limit: Int) throws -> [LoggedEvent]
    /// A dealer's log after `sequence`, in order, only what the filter lets through, and up to where it was searched:
    /// a reader goes on from there even if nothing was found.
    func events(
        of dealer: DealerID,
        after sequence: Int64,
        filter: EventFilter,
        limit: Int
    ) throws -> (events: [LoggedEvent], searchedTo: Int64)
    func event(_ id: EventID, within reach: Reach) throws -> LoggedEvent?
    func event(at position: EventPosition) throws -> LoggedEvent?
    func lastSequence(of dealer: DealerID) throws -> Int64
    /// The oldest event that the log still has; where it has none, the one that comes next.
    func firstSequence(of dealer: DealerID) throws -> Int64
    /// A named durable cursor of a reader (decisions §8); `owner` is the caller that made it.
    func consumer(_ name: String, of dealer: DealerID, owner: String) throws -> Int64?
}

package protocol EventWriter {
    /// Appends events that no site's decision made (an endpoint's notice, a test), in order, and returns their places.
    func append(_ events: [EventDraft], to dealer: DealerID, at instant: Instant) throws -> [LoggedEvent]
    func setConsumer(_ name: String, of dealer: DealerID, owner: String, to sequence: Int64) throws
}

package struct DeliveryFilter: Sendable {
    package var endpointID: EndpointID?
    package var state: DeliveryState?
    package var eventID: EventID?
    /// Only deliveries of events of these types: what a caller's scopes cover.
    package var types: Set<EventType>?

    package init(
        endpointID: EndpointID? = nil,
        state: DeliveryState? = nil,
        eventID: EventID? = nil,
        types: Set<EventType>? = nil
    ) {
        self.endpointID = endpointID
        self.state = state
        self.eventID = eventID
        self.types = types
    }
}

package protocol DeliveryReader {
    /// Exceptional deliveries that are due to be tried by `instant`, earliest first.
    func dueDeliveries(of endpoint: EndpointID, by instant: Instant, limit: Int) throws -> [ExceptionalDelivery]
    /// When the endpoint's next exceptional delivery is due.
    func nextDue(of endpoint: EndpointID) throws -> Instant?
    func exceptionalDelivery(of event: EventPosition, to endpoint: EndpointID) throws -> ExceptionalDelivery?
    /// Newest first, by delivery id.
    func deliveries(within reach: Reach, filter: DeliveryFilter, page: PageRequest) throws -> Page<DeliverySummary>
    func attempts(of event: EventPosition, to endpoint: EndpointID) throws -> [DeliveryAttempt]
    /// Which of these events, by sequence, the endpoint took at the first attempt: such a delivery has no row.
    ///
    /// What was forgotten since (``EndpointWriter/forgetDeliveries(of:after:)``) does not count.
    func deliveredAtOnce(_ events: [LoggedEvent], to endpoint: EndpointID) throws -> Set<Int64>
    /// How many deliveries of the endpoint are dead.
    func deadCount(of endpoint: EndpointID) throws -> Int
}

package struct AuditFilter: Sendable {
    package var siteID: SiteID?
    package var action: String?
    package var actorID: String?
    package var since: Instant?

    package init(siteID: SiteID? = nil, action: String? = nil, actorID: String? = nil, since: Instant? = nil) {
        self.siteID = siteID
        self.action = action
        self.actorID = actorID
        self.since = since
    }
}

package protocol AuditReader {
    /// Newest first.
    func audit(
        within reach: Reach,
        filter: AuditFilter,
        page: PageRequest
    ) throws -> Page<(id: Int64, entry: AuditEntry)>
    /// The entries of the site that changed its arming state, newest first, as far back as the audit log is kept; the
    /// cursor is an entry's id.
    func history(
        of site: SiteID,
        within reach: Reach,
        page: PageRequest
    ) throws -> Page<(id: Int64, entry: AuditEntry)>
}

package protocol AuditWriter {
    func append(_ entry: AuditEntry) throws
}

// MARK: - Notices

package protocol NoticeReader {
    /// Notices that wait and are due to be tried by `instant`, earliest first, of all dealers: for whoever sends them.
    func dueNotices(by instant: Instant, limit: Int) throws -> [Notice]
    /// When the next notice is due.
    func nextNoticeDue() throws -> Instant?
    /// A site's notices, whatever became of them, oldest first.
    func notices(of site: SiteID, within reach: Reach, limit: Int) throws -> [Notice]
}

package protocol NoticeWriter {
    /// Records what became of an attempt; a notice whose person is gone takes no record.
    func record(_ outcome: NoticeOutcome) throws
}

// MARK: - Housekeeping

package protocol HousekeepingReader {
    func idempotencyRecord(caller: String, method: String, path: String, key: String) throws -> IdempotencyRecord?
    /// A fact about the ledger itself: the check value of the encryption key, the signing key of tokens, …
    func fact(_ name: String) throws -> [UInt8]?
    func schemaVersion() throws -> Int
    /// How many rows each noun has, for `admin verify` and the demo's summary; what deletions left is among them.
    func counts() throws -> [String: Int64]
    /// Whether deletions left anything that is still to be removed.
    func hasRemains() throws -> Bool
    /// Checks the ledger against itself: sequences without gaps, cursors within the log, snapshots that can be read,
    /// and the fold of each site's arming events equal to its stored state (I21).
    func verify() throws -> [String]
}

package protocol HousekeepingWriter {
    /// Throws `duplicate` if the key is stored already.
    func insert(_ record: IdempotencyRecord) throws
    func setFact(_ name: String, to value: [UInt8]) throws
    /// Replaces every sealed value outside the facts by what `reseal` makes of it, and says how many there were.
    func reseal(_ reseal: (SealedPlace, [UInt8]) throws -> [UInt8]) throws -> Int
    /// Remembers a client assertion's `jti` until it expires; false if it was used before.
    func useAssertion(_ id: String, of clientID: String, expiresAt: Instant, now: Instant) throws -> Bool
    /// Forgets what has outlived its time: keys, report ids, assertions, attempts, audit entries, and events that no
    /// enabled endpoint still waits for (decisions §14); `limit` rows of each, and of events what is left of a decision. Fewer
    /// means that there are no more for now.
    func purge(now: Instant, limit: Int) throws -> [String: Int]
    /// Removes a part of what deletions left, so many rows at most, and returns how many; fewer mean that nothing is left.
    func clearRemains(limit: Int) throws -> Int
}
