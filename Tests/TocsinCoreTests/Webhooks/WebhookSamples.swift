import TocsinCore

/// Builds events and machines for the tests of this folder.
enum Sample {
    static let dealer = DealerID(stored: "dlr_a")
    static let partner = PartnerID(stored: "prt_a")
    static let app = AppID(stored: "app_a")
    static let endpoint = EndpointID(stored: "ep_0123456789abcdefghjkmnpqrs")
    static let start = Instant(secondsSinceEpoch: 1_800_000_000)

    static func event(
        _ sequence: Int64,
        of dealer: DealerID = Sample.dealer,
        type: EventType = .partitionArmed,
        site: Int? = nil,
        partner: PartnerID? = nil,
        audience: EventAudience = .everyone,
        at instant: Instant = Sample.start
    ) -> LoggedEvent {
        LoggedEvent(
            dealerID: dealer,
            sequence: sequence,
            id: EventID(stored: "evt_\(dealer.body)_\(sequence)"),
            type: type,
            siteID: site.map { SiteID(stored: "site_\($0)") },
            partnerID: partner,
            audience: audience,
            createdAt: instant,
            body: []
        )
    }

    static func subscription(
        owner: EndpointOwner = .app(Sample.app, of: Sample.dealer),
        types: Set<EventType> = [.partitionArmed, .endpointFailing],
        scopes: Set<Scope> = [.sitesRead]
    ) -> Subscription {
        Subscription(endpointID: endpoint, owner: owner, types: types, scopes: scopes)
    }

    static func consumer(
        cursor: Int64 = 0,
        tail: Int64 = 0,
        ordering: DeliveryOrdering = .none,
        concurrency: Int = 16,
        failingSince: Instant? = nil,
        nextDue: Instant? = nil,
        limits: EndpointConsumer.Limits = EndpointConsumer.Limits()
    ) -> EndpointConsumer {
        EndpointConsumer(
            settings: EndpointConsumer.Settings(
                subscription: subscription(),
                ordering: ordering,
                concurrency: concurrency
            ),
            failingSince: failingSince,
            lanes: [(cursor: EventPosition(dealerID: dealer, sequence: cursor), tail: tail)],
            nextDue: nextDue,
            limits: limits
        )
    }
}

extension [EndpointConsumer.Action] {
    var sends: [EndpointConsumer.Attempt] { compactMap { if case .send(let attempt) = $0 { attempt } else { nil } } }
    var saves: [ExceptionalDelivery] { compactMap { if case .save(let row) = $0 { row } else { nil } } }
    var announcements: [EndpointAnnouncement] {
        compactMap { if case .announce(let announcement) = $0 { announcement } else { nil } }
    }
    var reads: [EndpointConsumer.LogRead] { compactMap { if case .readLog(let read) = $0 { read } else { nil } } }
    var loads: [Int] { compactMap { if case .loadRows(let limit) = $0 { limit } else { nil } } }
    var breakers: [CircuitBreaker] { compactMap { if case .breaker(let breaker) = $0 { breaker } else { nil } } }
    var standings: [Instant?] { compactMap { if case .stand(let since) = $0 { .some(since) } else { nil } } }
}

extension AttemptResult {
    static let ok = AttemptResult(status: 200)
    static let down = AttemptResult(status: nil, isBroken: true)
    static let broken = AttemptResult(status: 500)
    static let gone = AttemptResult(status: 410)
}
