import TocsinCore
import TocsinJSON
import TocsinLedger

/// What stands against a deletion unless it is forced: armed, in alarm, undelivered events (decisions §11).
package enum DeletionObstacle: Hashable, Sendable {
    case inAlarm(PartitionID, name: String)
    /// Operators have not resolved this alarm; one that is hidden from the premises is no obstacle, as it would show.
    case unresolvedAlarm(AlarmNumber, site: String)
    case notDisarmed(PartitionID, name: String, state: String)
    /// Events of what is to be deleted, or for it, have not reached this endpoint.
    case undelivered(EndpointID, url: String)
    case hasSites
    /// Nobody could tell it to switch off afterwards.
    case relay(RelayID, name: String, clause: String)

    /// A clause that goes on from the name of what is to be deleted.
    package var clause: String {
        switch self {
        case .inAlarm: "is in alarm"
        case .unresolvedAlarm(let number, _): "has the alarm \(number), which is not resolved"
        case .notDisarmed(_, _, let state): "is \(state)"
        case .undelivered(_, let url): "has events that were not delivered to \(url)"
        case .hasSites: "has sites"
        case .relay(_, let name, let clause): "has the relay \(name), which \(clause)"
        }
    }
}

/// What stands against deleting a relay unless it is forced.
package enum RelayObstacle: Hashable, Sendable {
    /// Nobody could tell it to switch off afterwards.
    case isOn
    case awaitsSwitchingOff
    /// The schedule would switch nothing on any more, and nobody would notice.
    case schedule(ScheduleID, name: String)

    /// A clause that goes on from the relay's name.
    package var clause: String {
        switch self {
        case .isOn: "is on"
        case .awaitsSwitchingOff: "was not told yet to switch off"
        case .schedule(_, let name): "is switched on by the schedule “\(name)”"
        }
    }

    /// The schedule that names the relay, if one does.
    package var schedule: ScheduleID? {
        if case .schedule(let id, _) = self { id } else { nil }
    }

    /// What to do first.
    package var remedy: String {
        switch self {
        case .isOn, .awaitsSwitchingOff: "Deactivate it and wait for that to be delivered"
        case .schedule: "Delete the schedule first"
        }
    }
}

/// Judges what may not be deleted, for whoever deletes: the API and the fleet file.
package struct DeletionGuard {
    /// More exceptional deliveries than this are not searched for a site: the endpoint counts as having some of it.
    private static let pagesSearched = 10
    /// Events of a log that are looked at together.
    private static let eventsSearched = 200

    let reader: any LedgerReader

    package init(_ reader: any LedgerReader) { self.reader = reader }

    /// What stands against deleting these partitions, or a zone that they have in common.
    package static func obstacles(to partitions: [Partition], in record: SiteRecord) -> [DeletionObstacle] {
        var obstacles: [DeletionObstacle] = []
        for partition in partitions {
            guard let state = record.state.partitions[partition.id] else { continue }
            if state.inAlarm { obstacles.append(.inAlarm(partition.id, name: partition.name)) }
            if state.phase != .disarmed {
                let word = state.phase.wireState
                obstacles.append(.notDisarmed(partition.id, name: partition.name, state: word))
            }
        }
        return obstacles
    }

    /// What stands against deleting a site with everything that belongs to it.
    ///
    /// A silent alarm must not show: to whoever may not see alarms, an endpoint that takes them tells nothing, because a
    /// hidden event may wait there, or hold up others. What waits is delivered after the deletion all the same, since the
    /// log and its cursors do not belong to the site.
    ///
    /// - Parameters:
    ///   - site: As it is now.
    ///   - showsAlarms: Whether whoever deletes may see alarms (design, arming: people).
    /// - Returns: Everything that stands against it.
    /// - Throws: `LedgerError`.
    package func obstacles(to site: SiteRecord, showsAlarms: Bool = true) throws -> [DeletionObstacle] {
        let (dealer, partner) = (site.configuration.site.dealerID, site.configuration.site.partnerID)
        let owners =
            try apps(of: dealer).map { EndpointOwner.app($0.id, of: dealer) }
            + (partner.map { [EndpointOwner.partner($0)] } ?? [])
        let waiting = try owners.flatMap(reader.endpoints).filter { endpoint in
            guard showsAlarms || !endpoint.takesAlarms else { return false }
            return try awaits(endpoint, from: site.configuration.site)
        }
        // An alarm that was reported under duress, and seems to be aborted, would show by it too.
        return try Self.obstacles(to: site.configuration.partitions, in: site)
            + (showsAlarms ? unresolvedAlarm(site) : [])
            + relays(of: site).map(\.obstacle)
            + waiting.map { .undelivered($0.id, url: $0.url) }
    }

    private func unresolvedAlarm(_ record: SiteRecord) throws -> [DeletionObstacle] {
        let site = record.configuration.site
        guard let number = try reader.unresolvedAlarm(of: site.id)?.number else { return [] }
        return [.unresolvedAlarm(number, site: site.name)]
    }

    /// What stands against deleting a relay.
    ///
    /// - Parameters:
    ///   - relay: As it is stored.
    ///   - record: Its site.
    ///   - gone: The ids of schedules that are deleted with it.
    /// - Returns: The first obstacle; none lets it be deleted.
    /// - Throws: `LedgerError`.
    package func obstacle(
        toRelay relay: Fixture,
        in record: SiteRecord,
        ignoring gone: Set<String> = []
    ) throws -> RelayObstacle? {
        if let obstacle = try obstacle(toRelay: RelayID(stored: relay.id), in: record) { return obstacle }
        let rules = try reader.fixtures(of: relay.siteID, kind: .schedule, within: .platform)
        let rule = rules.first { $0.settings["activate"]?.string == relay.id && !gone.contains($0.id) }
        return rule.map { .schedule(ScheduleID(stored: $0.id), name: $0.name) }
    }

    private func obstacle(toRelay id: RelayID, in record: SiteRecord) throws -> RelayObstacle? {
        if record.state.relays[id] != nil { return .isOn }
        return try reader.awaitsSwitchingOff(id) ? .awaitsSwitchingOff : nil
    }

    /// The relays of a site that are on, or that were not told yet to switch off.
    func relays(
        of record: SiteRecord,
        where isMeant: (Relay) -> Bool = { _ in true }
    ) throws -> [(deviceID: DeviceID?, obstacle: DeletionObstacle)] {
        try record.configuration.relays.filter(isMeant).compactMap { relay in
            try obstacle(toRelay: relay.id, in: record).map {
                (relay.deviceID, .relay(relay.id, name: relay.name, clause: $0.clause))
            }
        }
    }

    package func obstacles(to endpoint: Endpoint) throws -> [DeletionObstacle] {
        try awaits(endpoint, from: nil) ? [.undelivered(endpoint.id, url: endpoint.url)] : []
    }

    /// What stands against deleting an app with its endpoints.
    package func obstacles(to app: App) throws -> [DeletionObstacle] {
        try reader.endpoints(of: .app(app.id, of: app.dealerID)).flatMap(obstacles)
    }

    /// What stands against deleting a partner with its endpoints, but for sites that go with it.
    package func obstacles(to partner: Partner, ignoring deleted: Set<SiteID> = []) throws -> [DeletionObstacle] {
        let hasSites = try reader.allSites(SiteFilter(partnerID: partner.id)).contains { !deleted.contains($0.id) }
        return (hasSites ? [.hasSites] : [])
            + (try reader.endpoints(of: .partner(partner.id)).flatMap(obstacles))
    }

    /// What stands against deleting a dealer with all that it owns, but for sites that were judged already; each obstacle
    /// with what has it, in words.
    package func obstacles(
        to dealer: Dealer,
        ignoring deleted: Set<SiteID> = []
    ) throws -> [(holder: String, obstacle: DeletionObstacle)] {
        var found: [(holder: String, obstacle: DeletionObstacle)] = []
        for site in try reader.allSites(SiteFilter(dealerID: dealer.id)) where !deleted.contains(site.id) {
            guard let record = try reader.siteRecord(site.id, within: .platform) else { continue }
            // What waits at the dealer's own endpoints is told below.
            let obstacles =
                try Self.obstacles(to: record.configuration.partitions, in: record) + unresolvedAlarm(record)
                + relays(of: record).map(\.obstacle)
            found += obstacles.map { ("the site “\(site.name)”", $0) }
        }
        for app in try apps(of: dealer.id) {
            found += try obstacles(to: app).map { ("the app “\(app.name)”", $0) }
        }
        return found
    }

    // MARK: - Deliveries

    private func apps(of dealer: DealerID) throws -> [App] {
        try reader.allPages { try reader.apps(within: .dealer(dealer), page: $0) }
    }

    /// Whether events that the endpoint takes have not reached it, of one site or of all.
    private func awaits(_ endpoint: Endpoint, from site: Site?) throws -> Bool {
        let subscription = try Subscription(of: endpoint, reader)
        let filter = EventFilter(types: endpoint.events.union([.testPing]), siteID: site?.id)
        for cursor in try reader.cursors(of: endpoint.id) where site.map({ $0.dealerID == cursor.dealerID }) ?? true {
            let last = try reader.lastSequence(of: cursor.dealerID)
            var position = cursor.sequence
            while position < last {
                let found = try reader.events(
                    of: cursor.dealerID,
                    after: position,
                    filter: filter,
                    limit: Self.eventsSearched
                )
                if found.events.contains(where: subscription.takes) { return true }
                guard found.searchedTo > position else { break }
                position = found.searchedTo
            }
        }
        guard let site else {
            // A task may have set aside what waits for a retry, without a time.
            return try reader.nextDue(of: endpoint.id) != nil || reader.runningTask(of: endpoint.id) != nil
        }
        for state in DeliveryState.allCases.filter(\.isPending)
        where try hasDelivery(to: endpoint, in: state, from: site) {
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

extension Endpoint {
    /// Whether silent alarms go there too.
    fileprivate var takesAlarms: Bool { events.contains { $0.requiredScope == .eventsRead } }
}

extension Subscription {
    /// What an endpoint takes as its owner's scopes and standing are now.
    package init(of endpoint: Endpoint, _ reader: any LedgerReader) throws {
        self.init(endpointID: endpoint.id, owner: endpoint.owner, types: endpoint.events)
        switch endpoint.owner {
        case .app(let id, let dealer):
            let app = try reader.app(id, within: .dealer(dealer))
            scopes = app?.scopes ?? []
            isRevoked = app?.isRevoked ?? true
        case .partner(let id): isRevoked = try reader.partner(id, within: .platform)?.isRevoked ?? true
        }
    }
}

extension LedgerReader {
    /// Every item of a list, page by page.
    package func allPages<Item>(_ page: (PageRequest) throws -> Page<Item>) throws -> [Item] {
        var items: [Item] = []
        var request = PageRequest(limit: PageRequest.maximumLimit)
        while true {
            let found = try page(request)
            items += found.items
            guard let next = found.next else { return items }
            request.after = next
        }
    }

    package func allSites(_ filter: SiteFilter = SiteFilter()) throws -> [Site] {
        try allPages { try sites(within: .platform, filter: filter, page: $0) }
    }
}
