// Relays switch on by rule, schedule or hand, and off by themselves: the end is a deadline of the site (decisions §7).

/// What an order by hand came to.
package struct RelayOutcome: Sendable {
    package enum Answer: String, CaseIterable, Sendable {
        case activated
        /// It was on, and stays on until the later end.
        case extended
        /// It was on, and for longer already.
        case unchanged
        case deactivated
        /// It was off; the order to switch off went out all the same, in case that the relay does not know.
        case alreadyInactive = "already_inactive"
    }

    /// None if the site has no such relay.
    package var answer: Answer?
    package var effects: [ArmingEffect]
}

extension SiteMachine {
    /// Switches the relays on whose rules mean a new alarm; for alarms that the arming machine does not raise itself.
    ///
    /// To be called right behind the alarm's own effects, when what fell due before it has happened.
    package mutating func switchRelays(for alarm: RelayAlarm, at now: Instant) -> [ArmingEffect] {
        var step = step(at: now, .command)
        step.switchRelays(for: alarm)
        take(step)
        return step.effects
    }

    /// Switches a relay on by hand; what fell due before has happened.
    package mutating func activateRelay(
        _ id: RelayID,
        seconds: Int,
        by caller: String,
        receivedAt: Instant
    ) -> RelayOutcome {
        guard let relay = configuration.relay(id) else { return RelayOutcome(answer: nil, effects: []) }
        var step = step(at: receivedAt, .command)
        let answer = step.activate(relay, seconds: seconds, .manual(caller), "\(caller)")
        take(step)
        return RelayOutcome(answer: answer, effects: step.effects)
    }

    /// Switches a relay off by hand, before its time.
    package mutating func deactivateRelay(_ id: RelayID, by caller: String, receivedAt: Instant) -> RelayOutcome {
        guard let relay = configuration.relay(id) else { return RelayOutcome(answer: nil, effects: []) }
        var step = step(at: receivedAt, .command)
        let wasActive = step.state.relays[id] != nil
        step.deactivate(relay, "relay.deactivate", "\(caller) switched the relay \(relay.name) off")
        take(step)
        return RelayOutcome(answer: wasActive ? .deactivated : .alreadyInactive, effects: step.effects)
    }
}

extension PanelStep {
    /// Switches the relays on whose rules mean a new alarm.
    mutating func switchRelays(for alarm: RelayAlarm) {
        for relay in site.relays {
            guard let seconds = relay.seconds(for: alarm, at: site) else { continue }
            activate(
                relay,
                seconds: seconds,
                .alarm(.incident(alarm.incident)),
                "An alarm (\(alarm.alarmClass.rawValue))",
                in: alarm.partitionID
            )
        }
    }

    /// Switches a relay on, or lets it stay on until the later end.
    ///
    /// The time runs from when it is really done: what was due while the server was down begins now.
    @discardableResult
    mutating func activate(
        _ relay: Relay,
        seconds: Int,
        _ trigger: RelayTrigger,
        _ cause: String,
        in partition: PartitionID? = nil
    ) -> RelayOutcome.Answer {
        let start = now + lateness
        let end = start + .seconds(seconds)
        let present = state.relays[relay.id]
        let isLater = present.map { end > $0.until } ?? true
        if isLater {
            state.relays[relay.id] = RelayState(since: present?.since ?? start, until: end, trigger: trigger)
        }
        let words =
            switch (present, isLater) {
            case (nil, _): "switched the relay \(relay.name) on for \(seconds) s"
            case (.some, true): "keeps the relay \(relay.name) on until \(end.rfc3339Seconds)"
            case (.some, false): "found the relay \(relay.name) on for longer already"
            }
        effects.append(
            .relay(
                RelayEffect(
                    relayID: relay.id,
                    deviceID: relay.deviceID,
                    partitionID: partition,
                    order: isLater ? .on(until: end, seconds: seconds) : nil,
                    activated: RelayActivated(
                        relayID: relay.id,
                        deviceID: relay.deviceID,
                        durationSeconds: seconds,
                        trigger: trigger
                    ),
                    action: "relay.activate",
                    explanation: "\(cause) \(words)"
                )
            )
        )
        if present == nil { return .activated }
        return isLater ? .extended : .unchanged
    }

    fileprivate mutating func deactivate(_ relay: Relay, _ action: String, _ explanation: String) {
        state.relays[relay.id] = nil
        effects.append(
            .relay(
                RelayEffect(
                    relayID: relay.id,
                    deviceID: relay.deviceID,
                    order: .off,
                    action: action,
                    explanation: explanation
                )
            )
        )
    }

    /// Switches off what ends at this step's instant, in the order of the relays' ids; one that was taken away is
    /// forgotten.
    mutating func runRelays() {
        for id in state.relays.filter({ $0.value.until == now }).keys.sorted() {
            guard let relay = site.relay(id) else {
                state.relays[id] = nil
                continue
            }
            deactivate(relay, "relay.end", "The relay \(relay.name) switched off after its time")
        }
    }
}

extension SiteConfiguration {
    package func relay(_ id: RelayID) -> Relay? { relays.first { $0.id == id } }
}

extension SiteConfiguration {
    /// The partition that a rule is about; for one about none, the first, which its events and notes then name.
    func partition(of rule: Schedule) -> Partition? {
        if rule.partition == Schedule.noPartition { return partitions.first }
        return partitions.first { $0.number == rule.partition }
    }
}
