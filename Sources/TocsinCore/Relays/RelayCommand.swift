import TocsinJSON

/// One order to whoever switches a relay, as the ledger keeps it until it is delivered or of no use any more.
package struct RelayCommand: Hashable, Sendable {
    package enum State: String, CaseIterable, Sendable {
        /// Not delivered yet; tried until it is, or of no use.
        case waiting
        case sent
        /// A newer command of the same relay took its place before it was delivered.
        case superseded
        /// Given up: it was of no use any more.
        case failed
    }

    package var id: RelayCommandID
    package var relayID: RelayID
    package var deviceID: DeviceID?
    package var siteID: SiteID
    package var dealerID: DealerID
    package var order: RelayEffect.Order
    package var createdAt: Instant
    package var state: State
    /// How often it was tried.
    package var attempts: Int
    package var nextAttemptAt: Instant?
    package var lastError: String?

    package init(
        id: RelayCommandID,
        relayID: RelayID,
        deviceID: DeviceID?,
        siteID: SiteID,
        dealerID: DealerID,
        order: RelayEffect.Order,
        createdAt: Instant,
        state: State = .waiting,
        attempts: Int = 0,
        nextAttemptAt: Instant? = nil,
        lastError: String? = nil
    ) {
        self.id = id
        self.relayID = relayID
        self.deviceID = deviceID
        self.siteID = siteID
        self.dealerID = dealerID
        self.order = order
        self.createdAt = createdAt
        self.state = state
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.lastError = lastError
    }

    /// The type on the wire; never an entry of the log.
    package static let type = "relay.command"
    /// How long an order to switch off is tried: a siren that stays on is bad, and one that was on for a day is known.
    package static let offLifetime: Duration = .seconds(86_400)
    /// What follows each failed attempt; the last one is repeated.
    private static let retryDelays: [Duration] = [
        .seconds(1), .seconds(2), .seconds(5), .seconds(10), .seconds(30), .seconds(60),
    ]

    /// From when on delivering it is of no use.
    package var usefulUntil: Instant {
        switch order {
        case .on(let until, _): until
        case .off: createdAt + Self.offLifetime
        }
    }

    /// `on` or `off`.
    package var word: String {
        switch order {
        case .on: "on"
        case .off: "off"
        }
    }

    /// The request's body: the same bytes at every attempt.
    package var body: [UInt8] {
        var data: JSONObject = ["relay_id": .string(relayID.text)]
        data["device_id"] = deviceID.map { .string($0.text) }
        data["command"] = .string(word)
        if case .on(let until, let seconds) = order {
            data["until"] = .string(until.rfc3339Milliseconds)
            data["duration_seconds"] = JSON(seconds)
        }
        let envelope: JSONObject = [
            "id": .string(id.text), "type": .string(Self.type), "created_at": .string(createdAt.rfc3339Milliseconds),
            "data": .object(data),
        ]
        return JSON.object(envelope).bytes
    }

    // MARK: Outcomes

    /// The attempt succeeded.
    package var sent: RelayCommandOutcome { outcome(.sent, after: attempts + 1) }

    /// The attempt failed at `now`: it is tried again, unless that would come too late.
    package func failed(_ error: String, at now: Instant) -> RelayCommandOutcome {
        let delay = Self.retryDelays[min(attempts, Self.retryDelays.count - 1)]
        let next = now + delay
        if next >= usefulUntil { return outcome(.failed, after: attempts + 1, error: error) }
        return outcome(.waiting, after: attempts + 1, due: next, error: error)
    }

    /// It is given up without an attempt.
    package func abandoned(_ error: String) -> RelayCommandOutcome { outcome(.failed, after: attempts, error: error) }

    private func outcome(
        _ state: State,
        after attempts: Int,
        due: Instant? = nil,
        error: String? = nil
    ) -> RelayCommandOutcome {
        RelayCommandOutcome(id: id, state: state, attempts: attempts, nextAttemptAt: due, error: error)
    }
}

/// What became of one attempt to deliver a command.
package struct RelayCommandOutcome: Hashable, Sendable {
    package var id: RelayCommandID
    package var state: RelayCommand.State
    package var attempts: Int
    package var nextAttemptAt: Instant?
    package var error: String?
}
