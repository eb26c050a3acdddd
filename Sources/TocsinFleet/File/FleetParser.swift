import TocsinCore
import TocsinJSON
import Yams

extension FleetFile {
    /// Reads a fleet file and tells all its problems at once.
    ///
    /// What only the ledger can tell (whether a dealer that the file does not define exists) is checked when it is applied.
    package static func parse(_ text: [UInt8]) throws(FleetError) -> FleetFile {
        let root = try FleetText.compose(text)
        var parser = FleetParser()
        let file = parser.file(root)
        if let error = parser.reader.problems.error() { throw error }
        return file
    }

    package static func parse(_ text: String) throws(FleetError) -> FleetFile { try parse(Array(text.utf8)) }
}

/// Turns nodes into the typed model; one method per noun.
struct FleetParser {
    static let retryStepsMaximum = 50
    static let retryStepSeconds = 1...86_400
    static let concurrency = 1...256
    static let ratePerSecond = 1...10_000
    static let headersMaximum = 20
    static let headerValueLength = 4096

    var reader = MemberReader()
    /// Time zone names that were looked up already.
    var knownTimezones: [String: Bool] = [:]

    mutating func file(_ root: Node) -> FleetFile {
        let place = Place(line: root.line, path: "")
        guard let members = reader.members(root, at: place, required: [], optional: ["dealers", "partners", "sites"])
        else { return FleetFile() }
        var file = FleetFile()
        file.dealers = each(members, "dealers") { $0.dealer($1, at: $2) }
        file.partners = each(members, "partners") { $0.partner($1, at: $2) }
        file.sites = each(members, "sites") { $0.site($1, at: $2) }
        reader.distinct(file.dealers, "the dealer’s name", by: \.name, at: \.place)
        reader.distinct(file.partners, "the partner’s name", by: \.name, at: \.place)
        checkSites(file.sites ?? [])
        return file
    }

    /// Every element of a list as `read` reads it.
    mutating func each<T>(
        _ members: Members,
        _ name: String,
        _ read: (inout FleetParser, Node, Place) -> T?
    ) -> [T]? {
        guard let elements = reader.elements(members, name) else { return nil }
        var values: [T] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            if let value = read(&self, element.node, element.place) { values.append(value) }
        }
        return values
    }

    // MARK: - Dealers, apps, partners, endpoints

    private mutating func dealer(_ node: Node, at place: Place) -> FleetDealer? {
        let optional = ["apps", "holidays", "auto_resolve_cancelled"]
        guard let members = reader.members(node, at: place, required: ["name"], optional: optional) else { return nil }
        let name = reader.text(members, "name")
        let apps = each(members, "apps") { $0.app($1, at: $2) }
        reader.distinct(apps, "the app’s name", by: \.name, at: \.place)
        let holidays = holidays(members)
        let resolves = reader.boolean(members, "auto_resolve_cancelled")
        return name.map {
            FleetDealer(place: place, name: $0, apps: apps, holidays: holidays, autoResolvesCancelled: resolves)
        }
    }

    private mutating func app(_ node: Node, at place: Place) -> FleetApp? {
        let optional = ["ip_allow_list", "tier", "endpoints"]
        guard let members = reader.members(node, at: place, required: ["name", "scopes"], optional: optional) else {
            return nil
        }
        let name = reader.text(members, "name")
        let scopes = reader.choices(members, "scopes", among: Scope.allCases)
        let blocks = reader.each(members, "ip_allow_list") { reader, node, place in
            let block = reader.text(node, at: place)
            if let block, !AddressBlock.isValid(block) {
                reader.problems.add(place, "“\(block)” is not an IP address or CIDR block such as 203.0.113.0/24")
            }
            return block
        }
        let tier: RateTier? = reader.choice(members, "tier")
        let endpoints = each(members, "endpoints") { $0.endpoint($1, at: $2, isPartners: false) }
        guard let name, let scopes else { return nil }
        return FleetApp(
            place: place,
            name: name,
            scopes: scopes,
            ipAllowList: blocks,
            tier: tier,
            endpoints: endpoints
        )
    }

    private mutating func partner(_ node: Node, at place: Place) -> FleetPartner? {
        let optional = ["jwks", "tier", "endpoints"]
        guard let members = reader.members(node, at: place, required: ["name", "arming_model"], optional: optional)
        else { return nil }
        let name = reader.text(members, "name")
        let model: ArmingModel? = reader.choice(members, "arming_model")
        let jwks = jwks(members)
        let tier: RateTier? = reader.choice(members, "tier")
        let endpoints = each(members, "endpoints") { $0.endpoint($1, at: $2, isPartners: true) }
        guard let name, let model else { return nil }
        return FleetPartner(place: place, name: name, armingModel: model, jwks: jwks, tier: tier, endpoints: endpoints)
    }

    /// A key set, as a mapping or as JSON text, made into compact JSON.
    private mutating func jwks(_ members: Members) -> String? {
        guard let node = members.node("jwks") else { return nil }
        let text = node.scalarValue?.string
        let json: JSON? = if let text { try? JSONParser.parse(text) } else { node.json }
        guard let keys = json?["keys"]?.array, keys.allSatisfy({ $0["kty"]?.string != nil }) else {
            reader.problems.add(
                members.place(of: "jwks"),
                "must be a JWKS: a mapping with “keys”, a list of public keys"
            )
            return nil
        }
        if keys.contains(where: { $0["d"] != nil }) {
            reader.problems.add(members.place(of: "jwks"), "has a private key (“d”): register the public part only")
        }
        return json?.text
    }

    private mutating func endpoint(_ node: Node, at place: Place, isPartners: Bool) -> FleetEndpoint? {
        let optional = [
            "ordering", "headers", "concurrency", "rate_per_second", "retry_schedule", "signature",
            "client_certificate",
        ]
        guard let members = reader.members(node, at: place, required: ["url", "events"], optional: optional) else {
            return nil
        }
        let url = reader.text(members, "url", upTo: 2048)
        let subscribable = EventType.allCases.filter { $0.isSubscribable && (isPartners || !$0.isForPartners) }
        let events = reader.choices(members, "events", among: subscribable)
        if events?.isEmpty == true {
            reader.problems.add(members.place(of: "events"), "is empty: name at least one type of event")
        }
        let ordering: DeliveryOrdering? = reader.choice(members, "ordering")
        let headers = headers(members)
        let concurrency = reader.integer(members, "concurrency", in: Self.concurrency)
        let rate = reader.integer(members, "rate_per_second", in: Self.ratePerSecond)
        let steps = reader.each(members, "retry_schedule") { $0.integer($1, at: $2, in: Self.retryStepSeconds) }
        if let steps, steps.isEmpty || steps.count > Self.retryStepsMaximum {
            reader.problems.add(
                members.place(of: "retry_schedule"),
                "must have 1 to \(Self.retryStepsMaximum) steps in seconds; leave it out for the default"
            )
        }
        let signature: SignatureScheme? = reader.choice(members, "signature")
        let certificate = clientCertificate(members)
        guard let url, let events else { return nil }
        return FleetEndpoint(
            place: place,
            url: Marked(value: url, place: members.place(of: "url")),
            events: events,
            ordering: ordering,
            headers: headers,
            concurrency: concurrency,
            ratePerSecond: rate,
            retrySchedule: steps,
            signature: signature,
            clientCertificate: certificate
        )
    }

    private mutating func headers(_ members: Members) -> [String: String]? {
        guard let node = members.node("headers") else { return nil }
        let place = members.place(of: "headers")
        guard case .mapping(let mapping) = node else {
            reader.problems.add(place, "must be a mapping of header names to values, not \(node.kind)")
            return nil
        }
        var headers: [String: String] = [:]
        for (key, value) in mapping {
            let name = (key.scalar?.string ?? "").lowercased()
            let here = place.member(name, line: key.line)
            if !HeaderName.isValid(name) {
                reader.problems.add(here, "is not a header's name")
            } else if HeaderName.isReserved(name) {
                reader.problems.add(here, "is set by Tocsin itself: choose another header")
            } else if headers[name] != nil {
                reader.problems.add(here, "stands twice: keep one of them")
            }
            headers[name] = reader.text(value, at: here, upTo: Self.headerValueLength)
        }
        if mapping.count > Self.headersMaximum {
            reader.problems.add(place, "has \(mapping.count) headers, and \(Self.headersMaximum) are the limit")
        }
        return headers
    }
}

/// Names of request headers that an endpoint may add.
enum HeaderName {
    static func isValid(_ name: String) -> Bool {
        let tokenMarks = Set("!#$%&'*+-.^_`|~".utf8)
        return (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: tokenMarks.contains(byte)
                }
            }
    }

    /// Headers that the delivery sets, or that would change how the request is framed.
    static func isReserved(_ name: String) -> Bool {
        let fixed = [
            "host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "te", "trailer",
            "upgrade", "keep-alive", "accept-encoding", "user-agent",
        ]
        return fixed.contains(name) || name.hasPrefix("x-chekt-") || name.hasPrefix("webhook-")
            || name.hasPrefix("proxy-")
    }
}
