import TocsinCore
import TocsinEngine
import TocsinLedger

extension FleetReconciler {
    /// Makes an owner's endpoints match; those with the same URL are told apart by their order.
    mutating func apply(
        _ wanted: [FleetEndpoint],
        of owner: EndpointOwner,
        named title: String
    ) throws -> [FleetResult.EndpointResult] {
        guard !wanted.isEmpty else { return [] }
        var free = Dictionary(grouping: try reader.endpoints(of: owner), by: \.url)
        return try wanted.map { endpoint in
            if let reason = context.checkURL(endpoint.url.value) { problems.add(endpoint.url.place, reason) }
            let url = endpoint.url.value
            if let existing = free[url]?.first {
                free[url]?.removeFirst()
                names.endpoints.insert(existing.id)
                try update(existing, to: endpoint, named: title)
                return .init(url: url, endpointID: existing.id, secret: nil)
            }
            return try make(endpoint, of: owner, named: title)
        }
    }

    private mutating func make(
        _ wanted: FleetEndpoint,
        of owner: EndpointOwner,
        named title: String
    ) throws -> FleetResult.EndpointResult {
        let id = EndpointID(drawnBy: context)
        let secret = WebhookSecret.make(context.randomness)
        note(.create, "endpoint", "\(title) / \(wanted.url.value)")
        outcome.touchedEndpoints.insert(id)
        names.endpoints.insert(id)
        guard let writer else { return .init(url: wanted.url.value, endpointID: id, secret: secret) }
        let endpoint = Endpoint(
            id: id,
            owner: owner,
            url: wanted.url.value,
            events: wanted.events,
            ordering: wanted.ordering ?? .none,
            sealedHeaders: try seal(wanted.headers ?? [:], of: id),
            concurrency: wanted.concurrency ?? Endpoint.defaultConcurrency,
            ratePerSecond: wanted.ratePerSecond,
            retrySchedule: wanted.retrySchedule,
            createdAt: context.now
        )
        let sealed = try context.vault.seal(Array(secret.utf8), context: WebhookSecret.vaultContext(of: id))
        try writer.insert(
            endpoint,
            secret: EndpointSecret(endpointID: id, sealed: sealed, createdAt: context.now)
        )
        try audit("endpoint.create", dealer: owner.dealerID, target: id.text, "the fleet file names \(endpoint.url)")
        return .init(url: endpoint.url, endpointID: id, secret: secret)
    }

    private mutating func update(_ existing: Endpoint, to wanted: FleetEndpoint, named title: String) throws {
        var endpoint = existing
        endpoint.events = wanted.events
        endpoint.ordering = wanted.ordering ?? endpoint.ordering
        endpoint.concurrency = wanted.concurrency ?? endpoint.concurrency
        endpoint.ratePerSecond = wanted.ratePerSecond ?? endpoint.ratePerSecond
        endpoint.retrySchedule = wanted.retrySchedule ?? endpoint.retrySchedule
        if let headers = wanted.headers, try open(existing) != headers {
            endpoint.sealedHeaders = try seal(headers, of: existing.id)
        }
        let changed = [
            endpoint.events == existing.events ? nil : "events",
            endpoint.ordering == existing.ordering ? nil : "ordering",
            endpoint.sealedHeaders == existing.sealedHeaders ? nil : "headers",
            endpoint.concurrency == existing.concurrency ? nil : "concurrency",
            endpoint.ratePerSecond == existing.ratePerSecond ? nil : "rate_per_second",
            endpoint.retrySchedule == existing.retrySchedule ? nil : "retry_schedule",
        ].compactMap(\.self)
        guard !changed.isEmpty else { return }
        note(.update, "endpoint", "\(title) / \(existing.url)", members: changed)
        outcome.touchedEndpoints.insert(existing.id)
        try writer?.update(endpoint)
        try audit(
            "endpoint.update",
            dealer: existing.owner.dealerID,
            target: existing.id.text,
            changes(changed, of: existing.url)
        )
    }

    private func seal(_ headers: [String: String], of endpoint: EndpointID) throws -> [String: [UInt8]] {
        var sealed: [String: [UInt8]] = [:]
        for (name, value) in headers {
            sealed[name] = try context.vault.seal(
                Array(value.utf8),
                context: WebhookSecret.vaultContext(ofHeader: name, of: endpoint)
            )
        }
        return sealed
    }

    private func open(_ endpoint: Endpoint) throws -> [String: String] {
        var headers: [String: String] = [:]
        for (name, sealed) in endpoint.sealedHeaders {
            let place = WebhookSecret.vaultContext(ofHeader: name, of: endpoint.id)
            let value = try context.vault.open(sealed, context: place)
            headers[name] = String(decoding: value, as: UTF8.self)
        }
        return headers
    }
}
