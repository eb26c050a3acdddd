import Logging
import TocsinCore
import TocsinEngine
import TocsinLedger

/// How endpoints come, change and go.
extension DeliveryLoop {
    // MARK: - Reloading

    mutating func reloadNext() {
        guard !isReloading, !reloads.isEmpty else { return }
        isReloading = true
        let reload = reloads.removeFirst()
        let ids = endpoints(of: reload.subject)
        let outside = outside
        jobs.append {
            do {
                outside.post(.reloaded(reload, .success(try await EndpointRecord.read(ids, from: outside.ledger))))
            } catch {
                outside.post(.reloaded(reload, .failure(error)))
            }
        }
    }

    /// Lets go of who waits for a reload that does not come any more.
    mutating func abandonReloads() {
        for reload in reloads { reload.continuation?.resume() }
        reloads = []
    }

    private func endpoints(of subject: Reload.Subject) -> [EndpointID] {
        switch subject {
        case .endpoint(let id): return [id]
        case .app(let app):
            return slots.compactMap { slot in
                if case .app(app, _) = slot?.endpoint.owner { slot?.endpoint.id } else { nil }
            }
        case .partner(let partner):
            return (slotsOfPartner[partner] ?? []).compactMap { slots[$0]?.endpoint.id }
        }
    }

    mutating func wasReloaded(_ reload: Reload, _ answer: Result<[(EndpointID, EndpointRecord?)], any Error>) {
        isReloading = false
        switch answer {
        case .success(let records):
            for (id, record) in records {
                if let record { take(record) } else { remove(id) }
            }
            reload.continuation?.resume()
        case .failure(let error):
            outside.logger.error("endpoints cannot be read, trying again", metadata: ["ledger.error": "\(error)"])
            let (outside, instant) = (outside, now + Self.pauseAfterFailure)
            jobs.append {
                try? await outside.clock.sleep(until: instant)
                if !outside.post(.reload(reload)) { reload.continuation?.resume() }
            }
        }
    }

    // MARK: - Taking over

    /// Takes over what the ledger says of an endpoint, be it new or known.
    mutating func take(_ record: EndpointRecord) {
        var record = caughtUp(record)
        if record.isUnsettled { reloadLater(record.endpoint.id) }
        let courier = Courier(record, vault: outside.vault, policy: outside.policy)
        guard let index = indexOfEndpoint[record.endpoint.id], let slot = slots[index] else {
            add(record, courier)
            return
        }
        // The ledger may not know yet that the endpoint has disabled itself.
        if slot.isDisabling { record.endpoint.isEnabled = false }
        if record.endpoint.isEnabled, !slot.endpoint.isEnabled { slot.startsAfresh = true }
        slot.endpoint = record.endpoint
        slot.courier = courier
        watchCertificate(of: slot)
        enlist(slot, record)
        outside.tasks.changed(record.endpoint.id)
        guard !slot.awaitsRebuild else { return }
        guard let settings = scheduler[index]?.settings else {
            if record.isActive { begin(slot, record) }
            return
        }
        let isEnabledAgain = record.isActive && !settings.isEnabled
        if isEnabledAgain || record.endpoint.ordering != settings.ordering {
            slot.awaitsRebuild = true
            scheduler.update(index) { $0.retire() }
        }
        for lane in record.lanes where scheduler[index]?.hasLane(of: lane.cursor.dealerID) == false {
            tell(index, at: now) { $0.follow(lane.cursor, tail: lane.tail, at: $1) }
        }
        // What a task had set aside is in the way again when it was cancelled: before anything newer.
        if settings.holdsFresh, record.hold == .none {
            tell(index, at: now) { $0.rowsWereAdded(hastened: [], at: $1) }
        }
        tell(index, at: now) { $0.reconfigure(record.settings, at: $1) }
        if !record.isActive { recording.wantsCursors = true }
    }

    private mutating func reloadLater(_ id: EndpointID) {
        let (outside, instant) = (outside, now + Self.pauseAfterFailure)
        jobs.append {
            try? await outside.clock.sleep(until: instant)
            outside.post(.reload(Reload(subject: .endpoint(id), continuation: nil)))
        }
    }

    /// The record with the logs as far as they were told to reach since it was read: nobody tells a new machine of that again.
    private func caughtUp(_ record: EndpointRecord) -> EndpointRecord {
        var record = record
        for index in record.lanes.indices {
            guard let end = logEnds[record.lanes[index].cursor.dealerID] else { continue }
            record.lanes[index].tail = max(record.lanes[index].tail, end)
        }
        return record
    }

    private mutating func add(_ record: EndpointRecord, _ courier: Courier) {
        let index = scheduler.add(DeliveryTenant(record.endpoint.owner))
        let slot = Slot(index: index, endpoint: record.endpoint, courier: courier)
        slots.append(slot)
        indexOfEndpoint[record.endpoint.id] = slot.index
        if case .partner(let partner) = record.endpoint.owner {
            slotsOfPartner[partner, default: []].append(slot.index)
        }
        enlist(slot, record)
        if record.isActive { begin(slot, record) }
        watchCertificate(of: slot)
    }

    private mutating func enlist(_ slot: Slot, _ record: EndpointRecord) {
        for lane in record.lanes where slotsOfDealer[lane.cursor.dealerID]?.contains(slot.index) != true {
            slotsOfDealer[lane.cursor.dealerID, default: []].append(slot.index)
        }
    }

    private mutating func begin(_ slot: Slot, _ record: EndpointRecord) {
        var record = record
        if slot.startsAfresh {
            slot.startsAfresh = false
            record.endpoint.failingSince = nil
            recording.pending.standings.append(EndpointStanding(endpointID: record.endpoint.id, failingSince: nil))
        }
        scheduler.set(slot.index, record.consumer)
        tell(slot.index, at: now) { $0.wake(at: $1) }
        tellMissedRows(slot)
    }

    /// What was put out by the old machine is recorded: a machine made from the ledger takes over.
    mutating func rebuild(_ index: Int) {
        guard let slot = slots[index], slot.awaitsRebuild, scheduler[index]?.isIdle ?? true else { return }
        slot.awaitsRebuild = false
        scheduler.set(index, nil)
        reloads.append(Reload(subject: .endpoint(slot.endpoint.id), continuation: nil))
        // Nothing else may happen for long: the reload does not wait for the next message.
        reloadNext()
    }

    private mutating func remove(_ id: EndpointID) {
        guard let index = indexOfEndpoint.removeValue(forKey: id), let slot = slots[index] else { return }
        slots[index] = nil
        outside.tasks.changed(id)
        for signal in slot.quietWaiters { signal.signal() }
        scheduler.set(index, nil)
        outside.health.forget(id)
        held -= slot.heldWhenCounted
        if case .partner(let partner) = slot.endpoint.owner { slotsOfPartner[partner]?.removeAll { $0 == index } }
        for dealer in slotsOfDealer.keys { slotsOfDealer[dealer]?.removeAll { $0 == index } }
    }

    /// Notices a partner's site at a dealer whose log one of the partner's endpoints does not follow yet.
    mutating func followPartners(of run: ArraySlice<LoggedEvent>, in dealer: DealerID) {
        var last: PartnerID?
        for event in run {
            guard let partner = event.partnerID, partner != last else { continue }
            last = partner
            for index in slotsOfPartner[partner] ?? [] {
                guard let slot = slots[index], scheduler[index]?.hasLane(of: dealer) == false,
                    slot.askedToFollow.insert(dealer).inserted
                else { continue }
                reloads.append(Reload(subject: .endpoint(slot.endpoint.id), continuation: nil))
            }
        }
    }

    // MARK: - Announcing

    /// Tells the owner's other endpoints how an endpoint does, and disables it if need be, in one transaction.
    mutating func announce(_ announcement: EndpointAnnouncement, for slot: Slot) {
        if announcement.disables { slot.isDisabling = true }
        outside.logger.warning(
            announcement.headline,
            metadata: ["endpoint.id": "\(slot.endpoint.id)", "reason": "\(announcement.code)"]
        )
        let (outside, index) = (outside, slot.index)
        jobs.append {
            while !Task.isCancelled {
                do {
                    let instant = outside.clock.now
                    let events = try await outside.ledger.write { try announcement.commit(in: $0, at: instant) }
                    outside.publish(events)
                    outside.post(.announced(slot: index, announcement))
                    return
                } catch {
                    outside.logger.error("a notice cannot be stored, trying again", metadata: ["error": "\(error)"])
                    try? await outside.clock.sleep(until: outside.clock.now + Self.pauseAfterFailure)
                }
            }
        }
    }

    mutating func wasAnnounced(_ index: Int, _ announcement: EndpointAnnouncement) {
        guard announcement.disables, let slot = slots[index] else { return }
        slot.isDisabling = false
        reloads.append(Reload(subject: .endpoint(slot.endpoint.id), continuation: nil))
    }
}

extension EndpointAnnouncement {
    /// For the operators' log.
    fileprivate var headline: Logger.Message {
        switch reason {
        case .failing(.disabled, since: _), .gone: "an endpoint was disabled"
        case .failing: "an endpoint keeps failing"
        case .certificateExpiring: "an endpoint's client certificate expires soon"
        }
    }

    /// Appends the event unless it was appended before, and disables the endpoint if that is what it says.
    fileprivate func commit(in transaction: any LedgerTransaction, at now: Instant) throws -> [LoggedEvent] {
        guard var endpoint = try transaction.endpoint(endpointID, within: .platform) else { return [] }
        if try transaction.event(eventID, within: .platform) != nil { return [] }
        if disables, endpoint.isEnabled {
            endpoint.isEnabled = false
            endpoint.disabledReason = code
            try transaction.update(endpoint)
        }
        guard case .app(let app, let dealer) = endpoint.owner else { return [] }
        if disables {
            let entry = AuditEntry(
                at: now,
                dealerID: dealer,
                actor: .system,
                action: "endpoint.disable",
                target: endpointID.text,
                explanation: code == "gone" ? "The receiver answered 410." : "Every attempt has failed for five days.",
                cause: "delivery"
            )
            try transaction.append(entry)
        }
        let draft = EventDraft(
            id: eventID,
            siteID: nil,
            partitionID: nil,
            audience: .app(app, except: endpointID),
            body: body(url: endpoint.url)
        )
        return try transaction.append([draft], to: dealer, at: now)
    }
}
