/// `ordering: site`: one in flight per site, in the log's order (design, delivery: order).
///
/// Of a site's deliveries one leads the line: it is about to be tried, in flight, or a row that waits for its time. All
/// later ones wait behind it. What the receiver answers again and again without taking it is parked: it leaves the line,
/// goes on by its own schedule, and is only kept from being in flight together with another of its site.
///
/// A replay of an ordered endpoint has to go through the same lines: either as ``resend(_:attempts:at:)`` does, which puts
/// an event into its place in the line, or by setting back the cursor: ``retire()``, wait for ``isIdle`` and for what was
/// put out to be recorded, move the cursor in the ledger, make a new machine of it. Nothing else may send.
extension EndpointConsumer {
    /// What waits behind the one delivery of a site that is being tried, in the log's order.
    struct Line: Sendable {
        /// A delivery leads the line.
        var hasHead = false
        /// A row leads the line: what joins it becomes a row too, so that the cursor can pass.
        var isBlocked = false
        /// One of the site is in flight: the head, or a parked one.
        var isFlying = false
        var waiting = Queue<Held>()
        /// What had its turn while another of the site was in flight.
        var stalled: [Held] = []

        var isOver: Bool { !hasHead && !isFlying && stalled.isEmpty }
    }

    /// What the event is ordered by; none where no order is asked for, or the event belongs to no site.
    func key(of event: LoggedEvent) -> SiteID? { isOrdered ? event.siteID : nil }

    /// Puts aside what had its turn while another of its site is in flight.
    mutating func stall(_ held: Held, at site: SiteID) {
        if held.hasRow { rowsInLines += 1 } else { unattempted += 1 }
        lines[site]?.stalled.append(held)
    }

    /// Nothing of the site is in flight any more: what was put aside has its turn again.
    mutating func land(at site: SiteID) {
        guard var line = lines.removeValue(forKey: site) else { return }
        let stalled = line.stalled
        line.stalled = []
        line.isFlying = false
        lines[site] = line
        for held in stalled.reversed() {
            if held.hasRow {
                rowsInLines -= 1
                insertRetry(held)
            } else {
                fresh[held.deliveryClass].prepend(held)
            }
        }
    }

    /// Takes a delivery that has come to its end out of its site's line.
    mutating func leave(_ held: Held, _ site: SiteID, _ state: DeliveryState, _ now: Instant) {
        if held.isParked {
            // Nobody needs to be told any more that it may come late.
            forgetParked(at: site) { $0.id == held.event.id }
        } else {
            if state == .delivered { forgetParked(at: site) { $0.position < held.event.position } }
            promote(at: site, now)
        }
        if lines[site]?.isOver == true { lines[site] = nil }
    }

    /// The head is gone: the next in line leads.
    private mutating func promote(at site: SiteID, _ now: Instant) {
        guard var line = lines.removeValue(forKey: site) else { return }
        guard var next = line.waiting.popFirst() else {
            line.hasHead = false
            line.isBlocked = false
            if !line.isOver { lines[site] = line }
            return
        }
        line.isBlocked = next.hasRow
        lines[site] = line
        if next.hasRow {
            rowsInLines -= 1
            next.due = now
            insertRetry(next)
        } else {
            fresh[next.deliveryClass].append(next)
        }
    }

    /// Lets a site go on without a delivery that its receiver does not take; true if that is so.
    mutating func park(_ held: inout Held, at site: SiteID, _ now: Instant) -> Bool {
        if held.isParked { return true }
        guard held.answers >= rules.answersToPark else { return false }
        held.isParked = true
        makeRow(&held, state: .parked, now)
        noteParked(held.event, at: site)
        promote(at: site, now)
        return true
    }

    /// Notes that those behind it have to tell of a parked event.
    ///
    /// What was parked earlier stays noted: the receiver may take the later one first.
    mutating func noteParked(_ event: LoggedEvent, at site: SiteID) {
        var parked = parkedBefore[site, default: []]
        let index = parked.firstIndex { $0.position > event.position } ?? parked.endIndex
        parked.insert((event.id, event.position), at: index)
        parkedBefore[site] = parked
    }

    private mutating func forgetParked(
        at site: SiteID,
        where isOver: ((id: EventID, position: EventPosition)) -> Bool
    ) {
        guard var parked = parkedBefore.removeValue(forKey: site) else { return }
        parked.removeAll(where: isOver)
        if !parked.isEmpty { parkedBefore[site] = parked }
    }

    /// The last event that was parked before this one at its site, if nobody was told of it yet.
    func parkedBefore(_ event: LoggedEvent) -> EventID? {
        key(of: event).flatMap { parkedBefore[$0] }?.last { $0.position < event.position }?.id
    }

    /// Turns what waits behind a failed delivery into rows, so that the cursor can pass.
    mutating func block(_ site: SiteID, until due: Instant, _ now: Instant) {
        guard var line = lines.removeValue(forKey: site) else { return }
        line.isBlocked = true
        line.waiting.update { held in
            guard !held.hasRow else { return }
            held.due = due
            makeRow(&held, state: .waiting, now)
            unattempted -= 1
            rowsInLines += 1
        }
        lines[site] = line
    }
}
