import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

/// A dealer, a partner that it has linked, an app and a site of theirs, with ids drawn from a seed.
///
/// Each case makes its own in an empty ledger, and may make several to check that they do not see each other.
package struct LedgerWorld: Sendable {
    package let ledger: any Ledger
    package let dealer: Dealer
    package let partner: Partner
    package let app: App
    package let site: Site
    package let partition: Partition
    package let random: SeededRandomness

    package static let start = Instant(secondsSinceEpoch: 1_790_000_000)

    /// Makes the things and stores them; `name` tells them from another world's in the same ledger.
    package static func make(in ledger: any Ledger, name: String = "Acme", seed: UInt64 = 1) async throws -> LedgerWorld
    {
        let random = SeededRandomness(
            seed: seed ^ UInt64(truncatingIfNeeded: name.utf8.reduce(7) { $0 &* 31 &+ Int($1) })
        )
        let dealer = Dealer(id: random.id(at: start), name: name, createdAt: start)
        let partner = Partner(
            id: random.id(at: start),
            name: "\(name) panels",
            armingModel: .partnerTriggered,
            clientID: "client-\(name)",
            clientSecretHash: "hash",
            jwks: nil,
            createdAt: start
        )
        let app = App(
            id: random.id(at: start),
            dealerID: dealer.id,
            name: "reports",
            scopes: [.eventsRead],
            createdAt: start
        )
        let (site, partition) = makeSite(dealer: dealer.id, partner: partner.id, name: "Main Street 1", random)
        try await ledger.write { transaction in
            try transaction.insert(dealer)
            try transaction.insert(partner)
            try transaction.link(dealer.id, to: partner.id)
            try transaction.insert(app)
            try transaction.insert(site, partitions: [partition])
        }
        return LedgerWorld(
            ledger: ledger,
            dealer: dealer,
            partner: partner,
            app: app,
            site: site,
            partition: partition,
            random: random
        )
    }

    private static func makeSite(
        dealer: DealerID,
        partner: PartnerID?,
        name: String,
        _ random: SeededRandomness
    ) -> (Site, Partition) {
        let site = Site(
            id: random.id(at: start),
            dealerID: dealer,
            partnerID: partner,
            externalID: "external \(name)",
            name: name,
            timezone: "America/Chicago",
            address: nil,
            testMode: false,
            armingModel: partner == nil ? .platformTriggered : .partnerTriggered,
            createdAt: start
        )
        return (site, Partition(id: random.id(at: start), siteID: site.id, number: 1, name: "House"))
    }

    /// Stores one more site of the same dealer.
    package func addSite(_ name: String, ofPartner: Bool = true) async throws -> (site: Site, partition: Partition) {
        let (site, partition) = Self.makeSite(
            dealer: dealer.id,
            partner: ofPartner ? partner.id : nil,
            name: name,
            random
        )
        try await ledger.write { try $0.insert(site, partitions: [partition]) }
        return (site, partition)
    }

    /// An endpoint that is not stored yet.
    package func endpoint(_ owner: EndpointOwner? = nil) -> Endpoint {
        Endpoint(
            id: random.id(at: Self.start),
            owner: owner ?? .app(app.id, of: dealer.id),
            url: "https://example.test/hook",
            events: [.partitionArmed, .armingStateChanged],
            createdAt: Self.start
        )
    }

    /// Stores an endpoint with a secret.
    package func addEndpoint(_ owner: EndpointOwner? = nil) async throws -> Endpoint {
        let endpoint = endpoint(owner)
        try await ledger.write { try $0.insert(endpoint, secret: Self.secret(of: endpoint.id)) }
        return endpoint
    }

    package static func secret(of endpoint: EndpointID, madeAt instant: Instant = start) -> EndpointSecret {
        EndpointSecret(endpointID: endpoint, sealed: [1, 2, 3], createdAt: instant)
    }

    package func arming(
        _ partition: Partition? = nil,
        to mode: ArmingMode = .away,
        at instant: Instant = start
    ) -> EventDraft {
        let partition = partition ?? self.partition
        let body = PartitionArmed(partitionID: partition.id, siteID: partition.siteID, mode: mode.wireName, by: "user")
        return EventDraft(
            id: random.id(at: instant),
            siteID: partition.siteID,
            partitionID: partition.id,
            body: .partitionArmed(body)
        )
    }

    /// A notice that only one app, or one endpoint, may see.
    package func notice(of endpoint: EndpointID, for audience: EventAudience, at instant: Instant = start) -> EventDraft
    {
        EventDraft(
            id: random.id(at: instant),
            siteID: nil,
            partitionID: nil,
            audience: audience,
            body: .testPing(TestPing(endpointID: endpoint, message: "a test"))
        )
    }

    package func auditEntry(_ action: String = "arming.report", at instant: Instant = start) -> AuditEntry {
        AuditEntry(
            at: instant,
            dealerID: dealer.id,
            siteID: site.id,
            actor: .init(.partner, partner.id.text),
            action: action,
            explanation: "The partner reported it.",
            cause: "report",
            details: ["state": "armed_away"]
        )
    }

    /// A decision that arms the site's partition, with two events and an audit entry.
    package func decision(
        on site: Site? = nil,
        _ partition: Partition? = nil,
        version: Int64,
        at instant: Instant = start,
        mode: ArmingMode = .away
    ) -> Decision {
        let site = site ?? self.site
        let partition = partition ?? self.partition
        var state = PartitionState(since: instant)
        state.phase = .armed(mode)
        let changed = ArmingStateChanged(
            siteID: site.id,
            partitionID: partition.id,
            newState: state.phase.wireState,
            previousState: Phase.disarmed.wireState,
            timestamp: instant,
            triggeredBy: "user-17",
            source: .keypad
        )
        let change = EventDraft(
            id: random.id(at: instant),
            siteID: site.id,
            partitionID: partition.id,
            body: .armingStateChanged(changed)
        )
        return Decision(
            siteID: site.id,
            dealerID: site.dealerID,
            partnerID: site.partnerID,
            baseVersion: version,
            newState: SiteState(partitions: [partition.id: state]),
            at: instant,
            events: [change, arming(partition, to: mode, at: instant)],
            audit: [auditEntry(at: instant)]
        )
    }
}

extension CommitOutcome {
    /// The events of a committed decision; none if it was not committed.
    package var events: [LoggedEvent]? {
        if case .committed(let events, _) = self { events } else { nil }
    }

    package var isConflict: Bool {
        if case .conflict = self { true } else { false }
    }
}
