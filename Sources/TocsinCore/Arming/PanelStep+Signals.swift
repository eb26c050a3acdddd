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
        if !isSuperseded { zoneState.apply(signal) }
        state.zones[zone.id] = zoneState
        if isLate {
            judgeLate(signal, at: zone)
        } else {
            judge(signal, at: zone, isSuperseded: isSuperseded)
        }
        calmedDown(zone)
        return answer(isSuperseded ? .superseded : .accepted, isLate ? "late" : nil)
    }

    /// What ends once a zone is as it should be: its danger, and a bypass that was there because it was not.
    mutating func calmedDown(_ zone: Zone) {
        if isOpen(zone.id) { return }
        for owner in owners(of: zone) { endDangers(of: owner) }
        if condition(zone) == .closed { endAutoBypass(of: zone) }
    }

    /// A zone that was left out because it was open when its partition was armed guards again once it has closed.
    private mutating func endAutoBypass(of zone: Zone) {
        for owner in owners(of: zone) where self[owner].bypassed[zone.id] == .auto {
            self[owner].bypassed[zone.id] = nil
            if self[owner].exit?.base[zone.id] == .auto { self[owner].exit?.base[zone.id] = nil }
            touch(owner)
            note(owner, "zone.bypass_ended", "\(zone.place) has closed: it is bypassed no longer, and guards again")
        }
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
        case .closed: if !isSuperseded { closed(zone) }
        // What guards against tampering alone means it at any time (I6).
        case .tamper: if zone.type == .h24Tamper { opened(zone) } else { tampered(zone) }
        case .trouble, .restored: break
        }
    }

    private mutating func closed(_ zone: Zone) {
        guard zone.type.isEntryDoor else { return }
        for owner in owners(of: zone) { exitDoorClosed(zone, in: owner) }
    }

    /// Stayed open as long as it must to count.
    mutating func delayOnEnded(_ zone: Zone) {
        state.zones[zone.id]?.pendingUntil = nil
        if isOpen(zone.id) { opened(zone) }
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
    /// The same trip again, or the same word of the same moment: a panel that sends twice.
    fileprivate func knows(_ signal: Signal) -> Bool {
        let isSameMoment = at == signal.timestamp && !isOffline
        return switch signal.kind {
        case .open, .triggered: recentOpens.contains(signal.timestamp)
        case .tamper: recentTampers.contains(signal.timestamp)
        case .closed: isSameMoment && !isOpen
        case .trouble: isSameMoment && faults.contains(.trouble)
        case .restored: isSameMoment && faults.isEmpty
        }
    }

    fileprivate mutating func remember(_ signal: Signal) {
        func kept(_ moments: [Instant]) -> [Instant] {
            Array((moments + [signal.timestamp]).suffix(Self.rememberedOpens))
        }
        switch signal.kind {
        case .open, .triggered: recentOpens = kept(recentOpens)
        case .tamper: recentTampers = kept(recentTampers)
        case .closed, .trouble, .restored: break
        }
    }

    /// What the zone is after its newest signal; whatever it says, it is there.
    fileprivate mutating func apply(_ signal: Signal) {
        at = signal.timestamp
        isOffline = false
        switch signal.kind {
        case .open: isOpen = true
        case .closed, .triggered:
            isOpen = false
            pendingUntil = nil
        case .tamper: faults.insert(.tamper)
        case .trouble: faults.insert(.trouble)
        // Whatever was wrong, the contact is as it was.
        case .restored: faults = []
        }
    }
}

extension ArmedSession {
    fileprivate func covers(_ instant: Instant) -> Bool { from <= instant && to.map { instant < $0 } ?? true }
}

extension Signal.Kind {
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
