import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing
import TocsinCore
import TocsinDelivery
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

@testable import TocsinServer

/// A clock that stands still until a test moves it.
final class StandingClock: WallClock {
    private let instant: Mutex<Instant>

    init(_ instant: Instant) { self.instant = Mutex(instant) }

    var now: Instant { instant.withLock { $0 } }
    func advance(_ duration: Duration) { instant.withLock { $0 = $0 + duration } }
    func sleep(until _: Instant) async throws { try await Task.sleep(for: .seconds(86_400)) }
}

/// Notes what management tells the delivery engine; appends test events as the engine does, and sends nothing.
final class NotedDeliveries: DeliveryControl {
    private let ledger: any Ledger
    private let clock: any WallClock
    private let randomness: any Randomness
    private let broadcaster: EventBroadcaster
    private let noted = Mutex<[String]>([])
    private let shownBreaker = Mutex(CircuitBreaker())

    init(ledger: any Ledger, clock: any WallClock, randomness: any Randomness, broadcaster: EventBroadcaster) {
        self.ledger = ledger
        self.clock = clock
        self.randomness = randomness
        self.broadcaster = broadcaster
    }

    /// What was noted since the last time.
    func take() -> [String] {
        noted.withLock { noted in
            defer { noted = [] }
            return noted
        }
    }

    private func note(_ text: String) { noted.withLock { $0.append(text) } }

    func endpointChanged(_ id: EndpointID) async { note("changed \(id)") }
    func appChanged(_ id: AppID) async { note("changed \(id)") }
    func endpointDeleted(_ id: EndpointID) async { note("deleted \(id)") }
    func partnerChanged(_ id: PartnerID) async { note("changed \(id)") }
    func breaker(of id: EndpointID) -> CircuitBreaker { shownBreaker.withLock { $0 } }
    /// From now on every endpoint's breaker stands like this.
    func set(_ breaker: CircuitBreaker) { shownBreaker.withLock { $0 = breaker } }
    func flush() async { note("flush") }

    func sendTest(_ id: EndpointID) async throws -> LoggedEvent {
        let now = clock.now
        let draft = EventDraft(
            id: randomness.id(at: now),
            siteID: nil,
            partitionID: nil,
            audience: .endpoint(id),
            body: .testPing(TestPing(endpointID: id, message: "This is a test."))
        )
        let events = try await ledger.write { transaction in
            guard let dealer = try transaction.cursors(of: id).first?.dealerID else {
                throw DeliveryError(code: .noLog, message: "The endpoint \(id) follows no log.")
            }
            return try transaction.append([draft], to: dealer, at: now)
        }
        broadcaster.published(events)
        return try #require(events.first)
    }

    func resend(_ position: EventPosition, to id: EndpointID) async throws {
        note("resend \(position.sequence) to \(id)")
    }

    func taskBegun(_ task: DeliveryTask) async { note("begun \(task.kind.rawValue) to \(task.endpointID)") }
    func taskEnded(_ task: DeliveryTask) async { note("ended \(task.kind.rawValue) to \(task.endpointID)") }
}

/// A server over a ledger in memory, with a platform admin, and a client that talks to its real router.
///
/// Every answer is compared with the document: a status that an operation does not declare fails the test.
struct ServerWorld: Sendable {
    static let publicURL = "https://tocsin.test"
    static let start = Instant(secondsSinceEpoch: 1_779_789_600)  // 2026-05-26T10:00:00Z

    let ledger: any Ledger
    let clock: StandingClock
    let services: Services
    let deliveries: NotedDeliveries
    let client: any TestClientProtocol
    let admin: String
    /// Where the snapshots' files are.
    let dataDirectory: String

    /// Runs `body` against a fresh server.
    static func run(
        _ setup: TestingSetup = .router,
        partners: (any PartnerCommander)? = nil,
        atFiles hook: @escaping @Sendable (SnapshotFiles.Moment) throws -> Void = { _ in },
        _ body: @Sendable @escaping (ServerWorld) async throws -> Void
    ) async throws {
        let clock = StandingClock(start)
        let ledger = try SQLiteLedger.open(.memory)
        let dataDirectory = FileManager.default.temporaryDirectory.appendingPathComponent("tocsin-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: dataDirectory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: dataDirectory) }
        let vault = Vault(key: Array(repeating: 7, count: Vault.keyLength))
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let randomness = SeededRandomness(seed: 42)
        let broadcaster = EventBroadcaster()
        let deliveries = NotedDeliveries(
            ledger: ledger,
            clock: clock,
            randomness: randomness,
            broadcaster: broadcaster
        )
        let devices = DeviceRegistry(ledger: ledger, clock: clock, logger: logger)
        let engine = SiteEngine(
            ledger: ledger,
            clock: clock,
            randomness: randomness,
            vault: vault,
            partners: partners,
            devices: devices,
            sinks: [broadcaster],
            logger: logger
        )
        let admin = "tcs_admin_root"
        try await ledger.write { transaction in
            try transaction.insert(
                AdminToken(
                    id: TokenID(stored: "tok_root"),
                    name: "root",
                    hash: credentialHash(admin),
                    dealerID: nil,
                    createdAt: start
                )
            )
        }
        let registry = PrometheusRegistry()
        let server = try await ServerApplication(
            ledger: ledger,
            vault: vault,
            clock: clock,
            randomness: randomness,
            settings: ServerSettings(host: "127.0.0.1", port: 0, publicURL: publicURL),
            sites: engine,
            deliveries: deliveries,
            devices: devices,
            snapshotFiles: SnapshotFiles(root: SnapshotFiles.root(in: dataDirectory.path), clock: clock, hook: hook),
            broadcaster: broadcaster,
            metricsPage: { registry.page() },
            logger: logger
        )
        try await server.application().test(setup) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                let watch = DeviceWatch(registry: devices, engine: engine, clock: clock, logger: logger)
                let services = ServiceGroup(services: [engine, watch], logger: logger)
                group.addTask { try await services.run() }
                let world = ServerWorld(
                    ledger: ledger,
                    clock: clock,
                    services: server.services,
                    deliveries: deliveries,
                    client: client,
                    admin: admin,
                    dataDirectory: dataDirectory.path
                )
                do {
                    try await body(world)
                } catch {
                    await services.triggerGracefulShutdown()
                    throw error
                }
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
        }
        try await ledger.close()
    }

    // MARK: Talking

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPFields
        let json: JSON
        let text: String

        var code: String? { json["error"]?["code"]?.string }
        var field: String? { json["error"]?["field"]?.string }

        subscript(_ name: String) -> JSON? { json[name] }
        func string(_ name: String) throws -> String { try #require(json[name]?.string, "no \(name) in \(text)") }
    }

    func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        as token: String? = nil,
        _ json: JSON? = nil,
        bytes: [UInt8]? = nil,
        headers extra: [String: String] = [:]
    ) async throws -> Answer {
        var headers = HTTPFields()
        if let token { headers[.authorization] = "Bearer \(token)" }
        let body = bytes ?? json?.bytes
        if body != nil { headers[.contentType] = "application/json" }
        for (name, value) in extra { headers[try #require(HTTPField.Name(name))] = value }
        let response = try await client.execute(
            uri: path,
            method: method,
            headers: headers,
            body: body.map { ByteBuffer(bytes: $0) }
        )
        let text = String(buffer: response.body)
        checkDocumented(method, path, response.status.code, text)
        return Answer(
            status: response.status.code,
            headers: response.headers,
            json: (try? JSONParser.parse(text)) ?? .null,
            text: text
        )
    }

    private static let routes = Routes(Operations.all)

    private func checkDocumented(_ method: HTTPRequest.Method, _ path: String, _ status: Int, _ text: String) {
        guard case .found(let bound, _) = Self.routes.match(method, path.split(separator: "?")[0]) else { return }
        let operation = bound.operation
        var known = Set(operation.replies.map(\.status.code) + operation.allErrors.map(\.status.code))
        if operation.flags.contains(.oauthErrors) { known.formUnion([400, 401]) }
        #expect(known.contains(status), "\(operation.id) answered \(status), which it does not declare: \(text)")
        if status >= 400, !operation.flags.contains(.oauthErrors),
            let code = (try? JSONParser.parse(text))?["error"]?["code"]?.string
        {
            #expect(
                operation.allErrors.map(\.rawValue).contains(code),
                "\(operation.id) refused with \(code), which it does not declare"
            )
        }
    }

    // MARK: Making things

    func dealer(_ name: String) async throws -> String {
        try await send(.post, "/v1/dealers", as: admin, ["name": .string(name)]).string("dealer_id")
    }

    struct PartnerAccess: Sendable {
        var id: String
        var clientID: String
        var secret: String
        var token: String
    }

    func partner(
        _ name: String,
        model: String = "partner_triggered",
        tier: String = "unlimited"
    ) async throws
        -> PartnerAccess
    {
        let made = try await send(
            .post,
            "/v1/partners",
            as: admin,
            ["name": .string(name), "arming_model": .string(model), "tier": .string(tier)]
        )
        let clientID = try made.string("client_id")
        let secret = try made.string("client_secret")
        return PartnerAccess(
            id: try made.string("partner_id"),
            clientID: clientID,
            secret: secret,
            token: try await token(clientID, secret)
        )
    }

    func token(_ clientID: String, _ secret: String) async throws -> String {
        try await form("grant_type=client_credentials&client_id=\(clientID)&client_secret=\(secret)")
            .string("access_token")
    }

    func form(_ form: String, headers: [String: String] = [:]) async throws -> Answer {
        let type = ["Content-Type": "application/x-www-form-urlencoded"]
        return try await send(
            .post,
            "/oauth/token",
            bytes: Array(form.utf8),
            headers: type.merging(headers) { $1 }
        )
    }

    func site(_ name: String, dealer: String, partner: String? = nil) async throws -> Answer {
        var body: JSONObject = ["name": .string(name), "timezone": "America/Chicago", "dealer_id": .string(dealer)]
        body["partner_id"] = partner.map(JSON.string)
        let answer = try await send(.post, "/v1/sites", as: admin, .object(body))
        #expect(answer.status == 201, "\(answer.text)")
        return answer
    }

    /// An app with these scopes and its key.
    func app(
        of dealer: String,
        _ scopes: Set<Scope>,
        allowing addresses: [String] = [],
        tier: RateTier = .unlimited,
        expiresAt: Instant? = nil
    ) async throws -> (id: AppID, key: String) {
        let id = services.randomness.id(AppNoun.self, at: clock.now)
        let key = "tcs_live_\(id.body)"
        let app = App(
            id: id,
            dealerID: DealerID(stored: dealer),
            name: "app \(id)",
            scopes: scopes,
            ipAllowList: addresses,
            tier: tier,
            createdAt: clock.now
        )
        try await ledger.write { transaction in
            try transaction.insert(app)
            try transaction.insert(AppKey(appID: id, hash: credentialHash(key), expiresAt: expiresAt))
        }
        return (id, key)
    }

    func dealerAdmin(of dealer: String) async throws -> String {
        let token = "tcs_admin_\(dealer)"
        let stored = AdminToken(
            id: TokenID(stored: "tok_\(dealer)"),
            name: dealer,
            hash: credentialHash(token),
            dealerID: DealerID(stored: dealer),
            createdAt: clock.now
        )
        try await ledger.write { try $0.insert(stored) }
        return token
    }

    /// A dealer, a partner linked to it, and a site of both.
    struct Scene: Sendable {
        var dealer: String
        var partner: PartnerAccess
        var site: String
        var partition: String
    }

    func scene(_ name: String = "Acme", tier: String = "unlimited") async throws -> Scene {
        let dealer = try await dealer(name)
        let partner = try await partner("\(name) panels", tier: tier)
        let site = try await site("\(name) shop", dealer: dealer, partner: partner.id)
        let partition = try #require(site["partitions"]?.array?.first?["partition_id"]?.string)
        return Scene(dealer: dealer, partner: partner, site: try site.string("site_id"), partition: partition)
    }

    func report(
        _ scene: Scene,
        _ changes: JSONObject = [:],
        as token: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> Answer {
        try await send(
            .post,
            "/v1/sites/\(scene.site)/arming-state",
            as: token ?? scene.partner.token,
            .object(reportBody(changes)),
            headers: headers
        )
    }

    /// The arming document's own request, with the present time; `null` takes a member away.
    func reportBody(_ changes: JSONObject = [:]) -> JSONObject {
        var body: JSONObject = [
            "state": "armed_away", "partition": "all", "timestamp": .string(clock.now.rfc3339Seconds),
            "user_id": "user_123", "source": "keypad",
        ]
        for member in changes.members { body[member.name] = member.value == .null ? nil : member.value }
        return body
    }

    func counts() async throws -> [String: Int64] { try await ledger.read { try $0.counts() } }
}
