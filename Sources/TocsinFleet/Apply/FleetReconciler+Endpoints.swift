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
        let certificate = try certificate(wanted, of: id, present: nil)
        guard let writer else { return .init(url: wanted.url.value, endpointID: id, secret: secret) }
        var endpoint = Endpoint(
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
        endpoint.signature = wanted.signature ?? endpoint.signature
        endpoint.clientCertificate = certificate
        let sealed = try context.vault.seal(Array(secret.utf8), context: WebhookSecret.vaultContext(of: id))
        try writer.insert(
            endpoint,
            secret: EndpointSecret(endpointID: id, sealed: sealed, createdAt: context.now)
        )
        try addKeyPair(to: endpoint)
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
        endpoint.signature = wanted.signature ?? endpoint.signature
        endpoint.clientCertificate = try certificate(wanted, of: existing.id, present: existing.clientCertificate)
        let changed = [
            endpoint.events == existing.events ? nil : "events",
            endpoint.ordering == existing.ordering ? nil : "ordering",
            endpoint.sealedHeaders == existing.sealedHeaders ? nil : "headers",
            endpoint.concurrency == existing.concurrency ? nil : "concurrency",
            endpoint.ratePerSecond == existing.ratePerSecond ? nil : "rate_per_second",
            endpoint.retrySchedule == existing.retrySchedule ? nil : "retry_schedule",
            endpoint.signature == existing.signature ? nil : "signature",
            endpoint.clientCertificate == existing.clientCertificate ? nil : "client_certificate",
        ].compactMap(\.self)
        guard !changed.isEmpty else { return }
        note(.update, "endpoint", "\(title) / \(existing.url)", members: changed)
        outcome.touchedEndpoints.insert(existing.id)
        try writer?.change(endpoint)
        try addKeyPair(to: endpoint)
        try audit(
            "endpoint.update",
            dealer: existing.owner.dealerID,
            target: existing.id.text,
            changes(changed, of: existing.url)
        )
    }

    /// The certificate that an endpoint is to have; a whole one is sealed anew only where it is another.
    private mutating func certificate(
        _ wanted: FleetEndpoint,
        of id: EndpointID,
        present: ClientCertificate?
    ) throws -> ClientCertificate? {
        switch wanted.clientCertificate {
        case nil: return present
        case .some(.none): return nil
        case .shown(let fingerprint, let place):
            if present?.fingerprint != fingerprint {
                let other = present.map { "has another one (\($0.fingerprint))" } ?? "has none"
                warn(
                    place,
                    "a fingerprint alone changes nothing: the endpoint \(other); give “certificate” and “private_key”"
                )
            }
            return present
        case .whole(let text, let fingerprint, let expiresAt, let place):
            let clause = "expired at \(expiresAt.rfc3339Seconds); give one that is valid"
            let vaultContext = WebhookSecret.vaultContext(ofCertificateOf: id)
            if let present, try context.vault.open(present.sealed, context: vaultContext) == Array(text.utf8) {
                if expiresAt <= context.now { warn(place, clause) }
                return present
            }
            if expiresAt <= context.now { problems.add(place, clause) }
            return ClientCertificate(
                sealed: try context.vault.seal(Array(text.utf8), context: vaultContext),
                fingerprint: fingerprint,
                expiresAt: expiresAt
            )
        }
    }

    private func addKeyPair(to endpoint: Endpoint) throws {
        guard let writer else { return }
        try SigningKey.complete(
            endpoint,
            in: writer,
            vault: context.vault,
            randomness: context.randomness,
            at: context.now
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
