/// All endpoints' machines, and the shares above them: decides which attempt begins next, and where.
///
/// Of two designs this is the one with an arbiter above the machines. The other, in which every machine has a bound of its
/// own and begins by itself, needs no arbiter; but then what is in flight grows with the number of endpoints, and bounding
/// that by a common number lets whoever is slow hold all of it. Here a machine only says what it would begin
/// (``EndpointConsumer/demand(at:)``), and begins when it is its turn. What it sends is chosen at that moment: an alarm
/// that came meanwhile goes first.
package struct DeliveryScheduler: Sendable {
    package typealias Output = (endpoint: Int, action: EndpointConsumer.Action)

    private var consumers: [EndpointConsumer?] = []
    package private(set) var shares: DeliveryShares
    private var outputs: [Output] = []
    /// Nothing more begins: the server stops.
    package var isStopped = false

    package init(
        limits: DeliveryShares.Limits = DeliveryShares.Limits(),
        window: DeliveryWindow.Limits = DeliveryWindow.Limits()
    ) {
        shares = DeliveryShares(limits: limits, window: window)
    }

    package var count: Int { consumers.count }
    package var inFlight: Int { shares.inFlight }

    /// When ``takeOutputs(at:)`` may put out something though no machine was told anything.
    package var nextLook: Instant? { isStopped ? nil : shares.nextLook }

    /// So many attempts that are not alarms have left this machine.
    package mutating func left(_ count: Int) { shares.left(count) }

    /// The machine of an endpoint, if it has one: to look at.
    package subscript(endpoint: Int) -> EndpointConsumer? {
        // Read where it is: a copy would cost more than what is asked of it.
        _read { yield consumers[endpoint] }
    }

    /// Takes up an endpoint without a machine; its index is never used again.
    package mutating func add(_ tenant: DeliveryTenant) -> Int {
        shares.join(tenant)
        consumers.append(nil)
        return consumers.count - 1
    }

    /// Gives an endpoint a machine, or takes it away; what is in flight must have ended, or never ends here.
    package mutating func set(_ endpoint: Int, _ consumer: EndpointConsumer?) {
        consumers[endpoint] = consumer
        if consumer == nil { shares.offer(endpoint, nil) }
    }

    /// Changes a machine in a way that begins nothing.
    package mutating func update<Result>(_ endpoint: Int, _ body: (inout EndpointConsumer) -> Result) -> Result? {
        guard consumers[endpoint] != nil else { return nil }
        return consumers[endpoint]?.apply(body)
    }

    /// Tells a machine something; what follows for it comes with ``takeOutputs(at:)``.
    package mutating func tell(
        _ endpoint: Int,
        at now: Instant,
        _ body: (inout EndpointConsumer, Instant) -> [EndpointConsumer.Action]
    ) {
        guard let actions = consumers[endpoint]?.apply({ body(&$0, now) }) else { return }
        put(endpoint, actions, now)
    }

    /// Tells how an attempt ended, also one whose machine is gone.
    ///
    /// - Parameters:
    ///   - endpoint: Whose attempt it was.
    ///   - attempt: The attempt as it was sent.
    ///   - result: How it ended.
    ///   - duration: How long it took.
    ///   - now: When it ended.
    ///   - jitter: A random number in 0..<1.
    package mutating func finished(
        _ endpoint: Int,
        _ attempt: (flight: Int, deliveryClass: DeliveryClass),
        _ result: AttemptResult,
        took duration: Duration,
        at now: Instant,
        jitter: Double
    ) {
        switch attempt.deliveryClass {
        case .alarm: break
        case .ordinary:
            shares.leftQueue(endpoint, attempt.flight, took: duration, delivered: result.verdict == .delivered)
        }
        shares.ended(endpoint, attempt.deliveryClass, isSlow: duration >= DeliveryShares.slowAfter)
        tell(endpoint, at: now) { $0.finished(attempt.flight, result, at: $1, jitter: jitter) }
    }

    /// What is to be done: by what machines were told, and attempts of those whose turn it is.
    package mutating func takeOutputs(at now: Instant) -> [Output] {
        shares.look(at: now)
        while !isStopped, let turn = shares.next() {
            guard let actions = consumers[turn.member]?.apply({ $0.begin(turn.deliveryClass, at: now) }) else {
                continue
            }
            put(turn.member, actions, now)
        }
        defer { outputs = [] }
        return outputs
    }

    private mutating func put(_ endpoint: Int, _ actions: [EndpointConsumer.Action], _ now: Instant) {
        for action in actions {
            if case .send(let attempt) = action {
                let deliveryClass = DeliveryClass(attempt.event.type)
                shares.began(endpoint, deliveryClass)
                switch deliveryClass {
                case .alarm: break
                case .ordinary: shares.queued(endpoint, attempt.flight, at: now)
                }
            }
            outputs.append((endpoint, action))
        }
        shares.offer(endpoint, consumers[endpoint]?.demand(at: now))
    }
}

extension EndpointConsumer {
    /// Lets `body` change the machine where it is, without copying it out.
    fileprivate mutating func apply<Result>(_ body: (inout EndpointConsumer) -> Result) -> Result { body(&self) }
}
