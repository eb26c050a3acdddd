import Logging
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The attempts and connections of one event loop; everything here happens on that loop, so nothing is locked.
final class Shard {
    private let eventLoop: any EventLoop
    private let policy: EgressPolicy
    private let resolver: any AddressResolver
    private let limits: WebhookSender.Limits
    private let tls: TLSSettingsStore
    /// This shard's part of the bound on idle connections.
    private let idleMax: Int
    private let logger: Logger

    private var inFlight = AgeList<Attempt>()
    private var idleByAge = AgeList<Connection>()
    /// The connection that was used last is taken first, so that the others can grow old.
    private var idle: [PoolKey: [Connection]] = [:]
    private var timer: Scheduled<Void>?
    private var timerFires = NIODeadline.distantFuture
    private var openChannels = 0
    private var drained: EventLoopPromise<Void>?
    /// Is woken at the end of this turn of the event loop.
    private var listener: (any ErrandListener)?

    init(
        eventLoop: any EventLoop,
        policy: EgressPolicy,
        resolver: any AddressResolver,
        tls: TLSSettingsStore,
        limits: WebhookSender.Limits,
        idleMax: Int,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.policy = policy
        self.resolver = resolver
        self.tls = tls
        self.limits = limits
        self.idleMax = idleMax
        self.logger = logger
    }

    // MARK: Errands

    /// Begins them all, and tells once that they have left, together with what ends in the same turn.
    func begin(_ errands: [Errand], _ listener: any ErrandListener) {
        var count = 0
        for errand in errands {
            begin(errand, listener)
            if !errand.isUrgent { count += 1 }
        }
        if count > 0 { listener.left(count) }
        tellLater(listener)
    }

    private func begin(_ errand: Errand, _ listener: any ErrandListener) {
        let started = NIODeadline.now()
        let (request, end) = errand.word()
        let told: Errand.End = { [bound = NIOLoopBound(self, eventLoop: eventLoop)] outcome in
            end(outcome)
            bound.value.tellLater(listener)
        }
        do throws(WebhookFailure) {
            let request = try request.get()
            let bytes = try RequestEncoder.encode(request)
            let settings = try tls.settings(for: request.identity)
            start(url: request.url, bytes: bytes, tls: settings, at: started, end: told)
        } catch {
            var outcome = WebhookOutcome()
            outcome.failure = error
            told(outcome)
        }
    }

    /// Once for all of this turn: who is woken for each by itself does nothing else.
    private func tellLater(_ listener: any ErrandListener) {
        guard self.listener == nil else { return }
        self.listener = listener
        eventLoop.assumeIsolated().execute { [self] in
            self.listener = nil
            listener.wake()
        }
    }

    // MARK: An attempt from start to connection

    func start(
        url: EndpointURL,
        bytes: ByteBuffer,
        tls: TLSSettings,
        at started: NIODeadline,
        end: @escaping Errand.End
    ) {
        let deadline = started + TimeAmount(limits.total)
        let attempt = Attempt(
            url: url,
            bytes: bytes,
            tls: tls,
            started: started,
            deadline: deadline,
            end: end
        )
        inFlight.append(attempt)
        wake(at: deadline)
        guard drained == nil else { return fail(attempt, Self.stopped) }
        guard url.scheme == .https || policy.allowPrivate else {
            return fail(attempt, WebhookFailure(.refusedURL, "Webhooks are sent by https only."))
        }
        if let literal = url.literal {
            resolved(attempt, [literal])
        } else if let cached = resolver.cached(url.host) {
            attempt.outcome.timing.dns = .zero
            resolved(attempt, cached)
        } else {
            resolve(attempt)
        }
    }

    private func resolve(_ attempt: Attempt) {
        let resolver = resolver
        let host = attempt.url.host
        eventLoop.makeFutureWithTask { try await resolver.resolve(host) }
            .assumeIsolated()
            .whenComplete { [self] result in
                guard !attempt.isOver else { return }
                attempt.outcome.timing.dns = Duration(NIODeadline.now() - attempt.phaseStarted)
                switch result {
                case .success(let addresses):
                    resolved(attempt, addresses)
                case .failure(let error):
                    let sentence = (error as? ResolverError)?.sentence ?? "The host name does not resolve."
                    fail(attempt, WebhookFailure(.dns, sentence))
                }
            }
    }

    /// Checks every address, then takes a connection to one of them or makes one.
    private func resolved(_ attempt: Attempt, _ addresses: [IPAddress]) {
        guard !addresses.isEmpty else {
            return fail(attempt, WebhookFailure(.dns, "The host name has no address."))
        }
        for address in addresses {
            guard case .refused(let refusal) = policy.verdict(for: address, port: attempt.url.port) else { continue }
            logger.debug(
                "refused an endpoint's address",
                metadata: ["endpoint.host": "\(attempt.url.host)", "address": "\(address)"]
            )
            let verb = attempt.url.literal == nil ? "resolves to" : "is"
            return fail(attempt, WebhookFailure(.refusedAddress, "The host \(verb) \(refusal.clause)."))
        }
        let now = NIODeadline.now()
        attempt.addresses = addresses.prefix(limits.addressesTried)
        for address in attempt.addresses {
            if let connection = takeIdle(key(attempt, address)) {
                use(connection, for: attempt)
                return connection.send(attempt, at: now)
            }
        }
        attempt.enter(.connecting, at: now)
        connect(attempt, lastError: nil)
    }

    private func key(_ attempt: Attempt, _ address: IPAddress) -> PoolKey {
        PoolKey(
            address: address,
            port: attempt.url.port,
            scheme: attempt.url.scheme,
            host: attempt.url.host,
            identity: attempt.tls.identity
        )
    }

    private func use(_ connection: Connection, for attempt: Attempt) {
        attempt.connection = connection
        attempt.outcome.address = connection.addressText
    }

    /// Tries the addresses one after the other.
    private func connect(_ attempt: Attempt, lastError: (any Error)?) {
        guard let address = attempt.addresses.popFirst() else {
            return fail(attempt, Self.connectFailure(lastError))
        }
        let key = key(attempt, address)
        // SNI knows no addresses; without a name the certificate is checked against the peer's address.
        let serverName = attempt.url.literal == nil ? key.host : nil
        let connection = Connection(key: key, serverName: serverName, shard: self)
        use(connection, for: attempt)
        let socketAddress: SocketAddress
        do {
            socketAddress = try address.socketAddress(port: key.port)
        } catch {
            return connect(attempt, lastError: error)
        }
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        let tls = key.scheme == .https ? attempt.tls.context : nil
        let left = attempt.deadline - .now()
        ClientBootstrap(group: eventLoop)
            .connectTimeout(min(TimeAmount(limits.connectPerAddress), max(left, .nanoseconds(1))))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try pipeline.addHandler(bound.value)
                }
            }
            .connect(to: socketAddress)
            .assumeIsolated()
            .whenComplete { [self] result in connected(attempt, connection, result) }
    }

    private func connected(_ attempt: Attempt, _ connection: Connection, _ result: Result<any Channel, any Error>) {
        guard !attempt.isOver else { return connection.drop() }
        switch result {
        case .success:
            let now = NIODeadline.now()
            attempt.outcome.timing.connect = Duration(now - attempt.phaseStarted)
            connection.opened(for: attempt, at: now)
        case .failure(let error):
            connect(attempt, lastError: error)
        }
    }

    private static func connectFailure(_ error: (any Error)?) -> WebhookFailure {
        switch error {
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            WebhookFailure(.connect, "The receiver refused the connection.")
        case is ChannelError:
            WebhookFailure(.connect, "The receiver did not accept a connection in time.")
        case .some, nil:
            WebhookFailure(.connect, "The receiver cannot be reached.")
        }
    }

    /// A kept connection turned out to be closed: the request goes out once more, on a fresh one.
    ///
    /// It may reach the receiver twice, which the promise of webhooks (at least once) allows.
    func retry(_ attempt: Attempt) {
        guard let connection = attempt.connection else { return }
        attempt.isRetry = true
        attempt.outcome.timing.wroteAt = nil
        attempt.addresses = [connection.key.address]
        attempt.enter(.connecting, at: .now())
        connect(attempt, lastError: nil)
    }

    // MARK: How attempts end

    private static let stopped = WebhookFailure(.stopped, "The server is being stopped.")

    func succeed(_ attempt: Attempt) {
        end(attempt, nil)
    }

    func fail(_ attempt: Attempt, _ failure: WebhookFailure) {
        let connection = attempt.connection
        end(attempt, failure)
        connection?.drop()
    }

    private func end(_ attempt: Attempt, _ failure: WebhookFailure?) {
        guard !attempt.isOver else { return }
        inFlight.remove(attempt)
        attempt.connection = nil
        attempt.resume(failure: failure)
    }

    // MARK: Idle connections

    private func takeIdle(_ key: PoolKey) -> Connection? {
        guard let connection = idle[key]?.last else { return nil }
        leavesPool(connection)
        return connection
    }

    func becameIdle(_ connection: Connection) {
        guard drained == nil, idle[connection.key]?.count ?? 0 < limits.idlePerHost else {
            return connection.drop()
        }
        if idleByAge.count >= idleMax, let oldest = idleByAge.oldest { closeIdle(oldest) }
        connection.expires = .now() + TimeAmount(limits.idle)
        idleByAge.append(connection)
        idle[connection.key, default: []].append(connection)
        wake(at: connection.expires)
    }

    /// The connection must be idle.
    func leavesPool(_ connection: Connection) {
        idleByAge.remove(connection)
        // Nearly always the last one.
        if let index = idle[connection.key]?.lastIndex(where: { $0 === connection }) {
            idle[connection.key]?.remove(at: index)
        }
        if idle[connection.key]?.isEmpty == true { idle[connection.key] = nil }
    }

    private func closeIdle(_ connection: Connection) {
        leavesPool(connection)
        connection.drop()
    }

    // MARK: Time

    /// Makes sure that the one timer fires no later than this.
    private func wake(at time: NIODeadline) {
        guard time < timerFires else { return }
        timer?.cancel()
        timerFires = time
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in timePassed() }
    }

    private func timePassed() {
        timer = nil
        timerFires = .distantFuture
        let now = NIODeadline.now()
        while let attempt = inFlight.oldest, attempt.deadline <= now {
            // What has come of the response tells the tenant more than the timeout alone.
            attempt.connection?.tellProgress()
            fail(attempt, WebhookFailure(.timeout, attempt.phase.sentence))
        }
        while let connection = idleByAge.oldest, connection.expires <= now { closeIdle(connection) }
        if let attempt = inFlight.oldest { wake(at: attempt.deadline) }
        if let connection = idleByAge.oldest { wake(at: connection.expires) }
    }

    // MARK: Shutdown

    func channelOpened() { openChannels += 1 }

    func channelClosed() {
        openChannels -= 1
        if openChannels == 0 { drained?.succeed() }
    }

    /// Ends what is under way and closes everything; the future tells when the last connection is gone.
    func stop() -> EventLoopFuture<Void> {
        if let drained { return drained.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        drained = promise
        while let attempt = inFlight.oldest { fail(attempt, Self.stopped) }
        while let connection = idleByAge.oldest { closeIdle(connection) }
        timer?.cancel()
        timer = nil
        if openChannels == 0 { promise.succeed() }
        return promise.futureResult
    }
}
