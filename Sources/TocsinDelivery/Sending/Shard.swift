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

    private let queue: ErrandQueue
    private var inFlight = AgeList<Attempt>()
    private var idleByAge = AgeList<Connection>()
    /// The connection that was used last is taken first, so that the others can grow old.
    private var idle: [PoolKey: [Connection]] = [:]
    /// Those that wait until a connection is opened for them, and take one that becomes free before, urgent ones first.
    private var dialing: [PoolKey: [Attempt]] = [:]
    /// Those that are being opened, and whose attempt has taken another meanwhile.
    private var unclaimed: [Connection] = []
    private var timer: Scheduled<Void>?
    private var timerFires = NIODeadline.distantFuture
    private var openChannels = 0
    /// Connections to each host, those that are being opened too.
    private var open: [PoolKey: Int] = [:]
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
        queue: ErrandQueue,
        logger: Logger
    ) {
        self.queue = queue
        self.eventLoop = eventLoop
        self.policy = policy
        self.resolver = resolver
        self.tls = tls
        self.limits = limits
        self.idleMax = idleMax
        self.logger = logger
    }

    /// One spare connection to so many that are busy: a host with few has none.
    private static let busyPerSpare = 8
    /// As many as an event loop's part of an alarm that goes to a few dozen endpoints.
    private static let sparesMaximum = 16

    // MARK: Errands

    /// Begins all that wait, and tells once that they have left, together with what ends in the same turn.
    func beginErrands(_ listener: any ErrandListener) {
        var count = 0
        for errand in queue.take() {
            if !errand.isUrgent {
                beginUrgent(listener)
                count += 1
            }
            begin(errand, listener)
        }
        if count > 0 { listener.left(count) }
        tellLater(listener)
    }

    /// Between any two attempts that begin or end: what is urgent waits for one of them at most.
    private func beginUrgent(_ listener: any ErrandListener) {
        for errand in queue.takeUrgent() { begin(errand, listener) }
    }

    private func begin(_ errand: Errand, _ listener: any ErrandListener) {
        let started = NIODeadline.now()
        let (request, end) = errand.word()
        let told: Errand.End = { [bound = NIOLoopBound(self, eventLoop: eventLoop)] outcome in
            end(outcome)
            bound.value.tellLater(listener)
            bound.value.beginUrgent(listener)
        }
        do throws(WebhookFailure) {
            let request = try request.get()
            let bytes = try RequestEncoder.encode(request)
            let settings = try tls.settings(for: request.identity)
            start(url: request.url, bytes: bytes, tls: settings, isUrgent: errand.isUrgent, at: started, end: told)
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
        isUrgent: Bool = false,
        at started: NIODeadline,
        end: @escaping Errand.End
    ) {
        let deadline = started + TimeAmount(limits.total)
        let attempt = Attempt(
            url: url,
            bytes: bytes,
            tls: tls,
            isUrgent: isUrgent,
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
            if let connection = takeIdle(key(attempt, address), isUrgent: attempt.isUrgent) {
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
        // A connection that turned out to be closed is made up for by one that is new.
        if !attempt.isRetry { beginsDialing(attempt, key) }
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
        guard attempt.connection === connection else {
            unclaimed.removeAll { $0 === connection }
            if case .success = result, drained == nil { return connection.openedForNobody() }
            return connection.drop()
        }
        endsDialing(attempt)
        switch result {
        case .success:
            let now = NIODeadline.now()
            attempt.outcome.timing.connect = Duration(now - attempt.phaseStarted)
            connection.opened(for: attempt, at: now)
        case .failure(let error):
            // Its time is up, only its turn to be left has not come: that is what the tenant is told.
            if attempt.deadline <= .now() { return fail(attempt, Self.timeout(of: attempt)) }
            connect(attempt, lastError: error)
        }
    }

    private func beginsDialing(_ attempt: Attempt, _ key: PoolKey) {
        endsDialing(attempt)
        attempt.dials = key
        let place = attempt.isUrgent ? dialing[key]?.firstIndex { !$0.isUrgent } : nil
        let end = dialing[key]?.count ?? 0
        dialing[key, default: []].insert(attempt, at: place ?? end)
    }

    private func endsDialing(_ attempt: Attempt) {
        guard let key = attempt.dials else { return }
        attempt.dials = nil
        dialing[key]?.removeAll { $0 === attempt }
        if dialing[key]?.isEmpty == true { dialing[key] = nil }
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

    private static func timeout(of attempt: Attempt) -> WebhookFailure {
        WebhookFailure(.timeout, attempt.phase.sentence)
    }

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
        endsDialing(attempt)
        attempt.connection = nil
        attempt.resume(failure: failure)
    }

    // MARK: Idle connections

    /// Of a busy host's connections a few are left to what is urgent: whoever has to open one waits for several turns of the
    /// event loop.
    private func takeIdle(_ key: PoolKey, isUrgent: Bool) -> Connection? {
        guard let free = idle[key], let connection = free.last else { return nil }
        if !isUrgent {
            let busy = (open[key] ?? 0) - free.count
            if free.count <= min(busy / Self.busyPerSpare, Self.sparesMaximum) { return nil }
        }
        leavesPool(connection)
        return connection
    }

    func becameIdle(_ connection: Connection) {
        if !dialing.isEmpty, drained == nil, let attempt = dialing[connection.key]?.first {
            // The one that is being opened for it is kept for others.
            endsDialing(attempt)
            if let opening = attempt.connection { unclaimed.append(opening) }
            use(connection, for: attempt)
            return connection.send(attempt, at: .now())
        }
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
        var count = 0
        while let attempt = inFlight.oldest, attempt.deadline <= now {
            if count == 0 { count = LeavingPace.count(inFlight: inFlight.count, late: now - attempt.deadline) }
            // What has come of the response tells the tenant more than the timeout alone.
            attempt.connection?.tellProgress()
            fail(attempt, Self.timeout(of: attempt))
            count -= 1
            if count == 0 { break }
        }
        while let connection = idleByAge.oldest, connection.expires <= now { closeIdle(connection) }
        if let attempt = inFlight.oldest { wake(at: max(attempt.deadline, now + LeavingPace.pause)) }
        if let connection = idleByAge.oldest { wake(at: connection.expires) }
    }

    // MARK: Shutdown

    func channelOpened(_ key: PoolKey) {
        openChannels += 1
        open[key, default: 0] += 1
    }

    func channelClosed(_ key: PoolKey) {
        openChannels -= 1
        let count = open[key] ?? 0
        open[key] = count > 1 ? count - 1 : nil
        if openChannels == 0 { drained?.succeed() }
    }

    /// Ends what is under way and closes everything; the future tells when the last connection is gone.
    func stop() -> EventLoopFuture<Void> {
        if let drained { return drained.futureResult }
        let promise = eventLoop.makePromise(of: Void.self)
        drained = promise
        while let attempt = inFlight.oldest { fail(attempt, Self.stopped) }
        while let connection = idleByAge.oldest { closeIdle(connection) }
        for connection in unclaimed { connection.drop() }
        timer?.cancel()
        timer = nil
        if openChannels == 0 { promise.succeed() }
        return promise.futureResult
    }
}
