import TocsinCore
import TocsinLedger

/// Why something should not be deleted unless forced: armed, in alarm, or with undelivered events (decisions §11).
package struct DeletionGuard {
    /// More exceptional deliveries than this are not searched for a site: the endpoint counts as having some of it.
    private static let pagesSearched = 10

    private let reader: any LedgerReader

    package init(_ reader: any LedgerReader) { self.reader = reader }

    /// Reasons against deleting a site, as clauses that go on from its name.
    package func reasons(against site: Site) throws -> [String] {
        let state = try reader.siteRecord(site.id, within: .platform)?.state
        var reasons = Set(state?.partitions.values.flatMap(Self.reasons) ?? []).sorted()
        let owners =
            try apps(of: site.dealerID).map { EndpointOwner.app($0.id, of: site.dealerID) }
            + (site.partnerID.map { [EndpointOwner.partner($0)] } ?? [])
        for endpoint in try owners.flatMap(reader.endpoints) where try awaits(endpoint, from: site) {
            reasons.append("has events that were not delivered to \(endpoint.url)")
        }
        return reasons
    }

    /// Reasons against deleting a partition, or a zone that it guards.
    package static func reasons(against state: PartitionState) -> [String] {
        var reasons = state.phase == .disarmed ? [] : ["is \(state.phase.wireState)"]
        if state.inAlarm { reasons.append("is in alarm") }
        return reasons
    }

    /// Reasons against deleting an endpoint.
    package func reasons(against endpoint: Endpoint) throws -> [String] {
        guard try awaits(endpoint, from: nil) else { return [] }
        return ["has undelivered events"]
    }

    /// Reasons against deleting an app with its endpoints.
    package func reasons(against app: App) throws -> [String] {
        try reader.endpoints(of: .app(app.id, of: app.dealerID)).flatMap { endpoint in
            try reasons(against: endpoint).map { "\($0) at \(endpoint.url)" }
        }
    }

    /// Reasons against deleting a partner.
    package func reasons(against partner: Partner, ignoring deleted: Set<SiteID>) throws -> [String] {
        var reasons: [String] = []
        if try reader.allSites(SiteFilter(partnerID: partner.id)).contains(where: { !deleted.contains($0.id) }) {
            reasons.append("has sites")
        }
        for endpoint in try reader.endpoints(of: .partner(partner.id)) {
            reasons += try self.reasons(against: endpoint).map { "\($0) at \(endpoint.url)" }
        }
        return reasons
    }

    /// Reasons against deleting a dealer with all that it owns.
    package func reasons(against dealer: Dealer, ignoring deleted: Set<SiteID>) throws -> [String] {
        let sites = try reader.allSites(SiteFilter(dealerID: dealer.id)).filter { !deleted.contains($0.id) }
        return try sites.flatMap { site in try reasons(against: site).map { "has the site “\(site.name)”, which \($0)" }
        }
            + apps(of: dealer.id).flatMap { app in
                try reasons(against: app).map { "has the app “\(app.name)”, which \($0)" }
            }
    }

    private func apps(of dealer: DealerID) throws -> [App] {
        try reader.allPages { try reader.apps(within: .dealer(dealer), page: $0) }
    }

    /// Whether events that the endpoint subscribes to have not reached it, of one site or of all.
    private func awaits(_ endpoint: Endpoint, from site: Site?) throws -> Bool {
        for cursor in try reader.cursors(of: endpoint.id) where site.map({ $0.dealerID == cursor.dealerID }) ?? true {
            let filter = EventFilter(types: endpoint.events, siteID: site?.id, partnerID: endpoint.owner.partner)
            let last = try reader.lastSequence(of: cursor.dealerID)
            var position = cursor.sequence
            while position < last {
                let found = try reader.events(of: cursor.dealerID, after: position, filter: filter, limit: 1)
                if !found.events.isEmpty { return true }
                guard found.searchedTo > position else { break }
                position = found.searchedTo
            }
        }
        guard let site else { return try reader.nextDue(of: endpoint.id) != nil }
        for state in [DeliveryState.retrying, .waiting] where try hasDelivery(to: endpoint, in: state, from: site) {
            return true
        }
        return false
    }

    private func hasDelivery(to endpoint: Endpoint, in state: DeliveryState, from site: Site) throws -> Bool {
        let filter = DeliveryFilter(endpointID: endpoint.id, state: state)
        var page = PageRequest(limit: PageRequest.maximumLimit)
        for _ in 0..<Self.pagesSearched {
            let found = try reader.deliveries(within: .platform, filter: filter, page: page)
            for delivery in found.items where try reader.event(at: delivery.position)?.siteID == site.id { return true }
            guard let next = found.next else { return false }
            page.after = next
        }
        return true
    }
}

extension EndpointOwner {
    var partner: PartnerID? {
        switch self {
        case .app: nil
        case .partner(let id): id
        }
    }
}

extension LedgerReader {
    /// Every item of a list, page by page.
    func allPages<Item>(_ page: (PageRequest) throws -> Page<Item>) throws -> [Item] {
        var items: [Item] = []
        var request = PageRequest(limit: PageRequest.maximumLimit)
        while true {
            let found = try page(request)
            items += found.items
            guard let next = found.next else { return items }
            request.after = next
        }
    }

    func allSites(_ filter: SiteFilter = SiteFilter()) throws -> [Site] {
        try allPages { try sites(within: .platform, filter: filter, page: $0) }
    }
}
