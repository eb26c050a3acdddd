extension PanelStep {
    /// Takes a batch of signals in the order in which they happened; the answers are in the order of the request.
    mutating func take(_ signals: [Signal], known: Set<String>) -> [SignalAnswer] {
        var answers: [Int: SignalAnswer] = [:]
        var seen = known
        let order = signals.indices.sorted { (signals[$0].timestamp, $0) < (signals[$1].timestamp, $1) }
        for index in order {
            let signal = signals[index]
            if let id = signal.signalID, !seen.insert(id).inserted {
                answers[index] = SignalAnswer(signalID: id, outcome: .duplicate)
                continue
            }
            answers[index] = take(signal)
            // A key may disarm in the middle of a batch: what follows finds its common area disarmed too (I18).
            settleCommonAreas()
        }
        return signals.indices.compactMap { answers[$0] }
    }

    private mutating func take(_ signal: Signal) -> SignalAnswer {
        let zones = zones(of: signal.origin)
        if zones.isEmpty {
            switch signal.origin {
            case .zone, .number:
                return SignalAnswer(signalID: signal.signalID, outcome: .rejected, reason: "unknown_zone")
            case .device(let id):
                guard site.devices.contains(id) else {
                    return SignalAnswer(signalID: signal.signalID, outcome: .rejected, reason: "unknown_device")
                }
                // Seen, but it guards nothing.
                return SignalAnswer(signalID: signal.signalID, outcome: .accepted, reason: "no_zone")
            }
        }
        let outcomes = zones.map { take(signal, at: $0) }
        // Several zones of one device: the answer tells of the one that took it furthest.
        let best = outcomes.min { $0.outcome.rank < $1.outcome.rank } ?? outcomes[0]
        return SignalAnswer(signalID: signal.signalID, outcome: best.outcome, reason: best.reason)
    }

    private func zones(of origin: Signal.Origin) -> [Zone] {
        switch origin {
        case .zone(let id): site.zones.filter { $0.id == id }
        case .number(let number): site.zones.filter { $0.number == number }
        case .device(let id): site.zones.filter { $0.deviceID == id }
        }
    }

    private mutating func take(_ signal: Signal, at zone: Zone) -> SignalAnswer {
        func answer(_ outcome: SignalAnswer.Outcome, _ reason: String? = nil) -> SignalAnswer {
            SignalAnswer(signalID: signal.signalID, outcome: outcome, reason: reason)
        }
        var zoneState = state.zones[zone.id] ?? ZoneState()
        // A signal with an id is known by it alone: two may happen in the same second of a panel's clock.
        if signal.signalID == nil, zoneState.knows(signal) { return answer(.duplicate) }
        let isLate = now - signal.timestamp > Signal.lateness
        let isSuperseded = zoneState.at.map { signal.timestamp < $0 } ?? false
        zoneState.remember(signal)
        if !isSuperseded {
            zoneState.at = signal.timestamp
            zoneState.condition = signal.kind.condition
            if signal.kind.condition == .closed { zoneState.pendingUntil = nil }
        }
        state.zones[zone.id] = zoneState
        if isLate {
            judgeLate(signal, at: zone)
            return answer(isSuperseded ? .superseded : .accepted, "late")
        }
        judge(signal, at: zone, isSuperseded: isSuperseded)
        return answer(isSuperseded ? .superseded : .accepted)
    }

    /// What a zone says now; an open that has closed again in the meantime was an open all the same (I4).
    private mutating func judge(_ signal: Signal, at zone: Zone, isSuperseded: Bool) {
        switch signal.kind {
        case .open, .triggered:
            if zone.delayOnSeconds > 0 {
                // What closes by itself, or has closed, did not stay open long enough.
                if signal.kind == .open, !isSuperseded, state.zones[zone.id]?.pendingUntil == nil {
                    state.zones[zone.id]?.pendingUntil = now + .seconds(zone.delayOnSeconds)
                }
                return
            }
            opened(zone)
            if signal.kind == .triggered || isSuperseded { closed(zone) }
        case .closed, .restored: if !isSuperseded { closed(zone) }
        // What guards against tampering alone means it at any time (I6).
        case .tamper: if zone.type == .h24Tamper { opened(zone) } else { tampered(zone) }
        case .trouble: break
        }
    }

    private mutating func closed(_ zone: Zone) {
        guard zone.type.isEntryDoor else { return }
        for owner in owners(of: zone) { exitDoorClosed(zone, in: owner) }
    }

    /// Stayed open as long as it must to count.
    mutating func delayOnEnded(_ zone: Zone) {
        state.zones[zone.id]?.pendingUntil = nil
        switch condition(zone) {
        // A trouble or a tamper that came after the open does not close the zone.
        case .open, .trouble, .tamper: opened(zone)
        case .closed, .unknown: break
        }
    }

    // MARK: Late signals (decisions §14)

    /// Judges a signal of the past by what was armed then; the zone's condition is the newest one in any case.
    private mutating func judgeLate(_ signal: Signal, at zone: Zone) {
        guard signal.kind.isTrip, let first = owners(of: zone).first else { return }
        if let alarmClass = zone.type.alwaysOnClass, signal.kind != .tamper || zone.type == .h24Tamper {
            return tripAlwaysOn(zone, alarmClass, in: first, isLate: true)
        }
        let sessions = owners(of: zone).map { owner in
            self[owner].sessions.first {
                $0.covers(signal.timestamp) && (signal.kind == .tamper || zone.isActive(in: $0.mode))
            }
        }
        guard !sessions.isEmpty, let session = sessions.compactMap(\.self).last, sessions.allSatisfy({ $0 != nil })
        else {
            return
        }
        if session.to == nil, isBypassed(zone) { return }
        if zone.type.isExitRoute, signal.kind != .tamper, site.site.armingModel == .platformTriggered,
            isExcused(signal, zone, session, in: first)
        {
            return
        }
        let isTamper = signal.kind == .tamper
        trip(
            Trip(
                alarmClass: isTamper ? .tamper : .intrusion,
                zone: zone,
                trigger: isTamper ? "tamper" : zone.trigger,
                location: zone.name,
                isSilent: zone.silent,
                isLate: true
            ),
            in: first
        )
    }

    /// Somebody came in and disarmed in time, or still can.
    private mutating func isExcused(
        _ signal: Signal,
        _ zone: Zone,
        _ session: ArmedSession,
        in partition: Partition
    ) -> Bool {
        let delay = Duration.seconds(zone.entryDelaySeconds ?? partition.entryDelaySeconds)
        let deadline = signal.timestamp + delay
        if let end = session.to { return end <= deadline }
        if let entering = entering(with: owners(of: zone)) {
            joinEntry(zone, in: entering)
            return true
        }
        guard case .armed(let mode) = self[partition].phase, zone.type.isEntryDoor, deadline > now,
            !self[partition].hasNoEntryDelay
        else { return false }
        startEntry(zone, in: partition, mode, isExitError: false)
        self[partition].countdown?.deadline = deadline
        return true
    }
}

extension ZoneState {
    /// The same open again, or the same word of the same moment: a panel that sends twice.
    fileprivate func knows(_ signal: Signal) -> Bool {
        if signal.kind.isTrip {
            // An open and a tamper in the same second of a panel's clock are two things.
            let isOther = at == signal.timestamp && (signal.kind == .tamper) != (condition == .tamper)
            return !isOther && recentOpens.contains(signal.timestamp)
        }
        return at == signal.timestamp && condition == signal.kind.condition
    }

    fileprivate mutating func remember(_ signal: Signal) {
        guard signal.kind.isTrip else { return }
        recentOpens = Array((recentOpens + [signal.timestamp]).suffix(Self.rememberedOpens))
    }
}

extension ArmedSession {
    fileprivate func covers(_ instant: Instant) -> Bool { from <= instant && to.map { instant < $0 } ?? true }
}

extension Signal.Kind {
    /// What the zone is after it.
    var condition: ZoneCondition {
        switch self {
        case .open: .open
        case .closed, .triggered, .restored: .closed
        case .tamper: .tamper
        case .trouble: .trouble
        }
    }

    /// Whether it may raise an alarm.
    var isTrip: Bool {
        switch self {
        case .open, .triggered, .tamper: true
        case .closed, .trouble, .restored: false
        }
    }
}

extension SignalAnswer.Outcome {
    fileprivate var rank: Int {
        switch self {
        case .accepted: 0
        case .superseded: 1
        case .duplicate: 2
        case .rejected: 3
        }
    }
}
