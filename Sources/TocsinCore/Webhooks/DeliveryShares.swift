/// Whose share of the attempts in flight an endpoint's are: its dealer's; a partner is by itself.
package enum DeliveryTenant: Hashable, Sendable {
    case dealer(DealerID)
    case partner(PartnerID)

    package init(_ owner: EndpointOwner) {
        switch owner {
        case .app(_, of: let dealer): self = .dealer(dealer)
        case .partner(let partner): self = .partner(partner)
        }
    }
}

/// Shares out attempts in flight: in turn over dealers, then over their endpoints (design, delivery: isolation).
///
/// What is scarce is the attempt in flight, and a slow receiver holds one for half a minute. So turns alone are not enough:
/// nobody may hold so many that none are left. Each may hold as many as are still free (a dealer), or a part of them (an
/// endpoint); so a single dealer gets half of all, ten get a tenth each, and however many are greedy, some stay free for
/// whoever comes. What a dealer's silent endpoints hold must not keep its others waiting until they time out: an endpoint
/// that has none gets one beyond its dealer's bound, for which a dealer may take a quarter of what is free. Endpoints
/// whose last attempt was slow have a part of the whole in common, for there may be more of them than attempts. Alarms have
/// a reserve, and the same rules among themselves.
///
/// Every step costs the same however many endpoints there are: who may not begin is taken off the ring, and is put back by
/// the end of what kept it off.
package struct DeliveryShares: Sendable {
    package struct Limits: Hashable, Sendable {
        /// Attempts in flight at once: each is a connection, an open file and some memory.
        package var total = 2048
        /// Those of them that only alarms may take.
        package var alarmReserve = 256
        /// Those of them that slow endpoints may hold together, alarms aside.
        package var slow = 768
        /// An endpoint may hold one in so many of those that are free.
        package var endpointPart = 32

        package init() {}

        package init(total: Int, alarmReserve: Int, slow: Int, endpointPart: Int) {
            self.total = total
            self.alarmReserve = alarmReserve
            self.slow = slow
            self.endpointPart = endpointPart
        }
    }

    /// An attempt that takes longer makes its endpoint a slow one.
    package static let slowAfter: Duration = .seconds(1)

    private struct Tenant {
        var inFlight = PerClass(0)
        var ring = PerClass(Queue<Int>())
        /// Those of the ring that had nothing in flight when they came to it.
        var idle = PerClass(Queue<Int>())
        var isListed = PerClass(false)
        /// Attempts that were begun beyond its bound.
        var extra = PerClass(0)
    }

    private struct Member {
        let tenant: Int
        var demand: DeliveryClass?
        var inFlight = PerClass(0)
        var isListed = PerClass(false)
        var isIdle = PerClass(false)
        var isSlow = false
        var slowInFlight = 0
        /// It is in the queue of those that wait for a slow one to end.
        var waitsForSlow = false
    }

    package let limits: Limits
    private var tenants: [Tenant] = []
    private var tenantIndex: [DeliveryTenant: Int] = [:]
    private var members: [Member] = []
    private var ring = PerClass(Queue<Int>())
    private var slowWaiting = Queue<Int>()
    /// Attempts in flight, and those of them that slow endpoints hold.
    package private(set) var inFlight = 0
    package private(set) var slowInFlight = 0
    private var window: DeliveryWindow

    package init(limits: Limits = Limits(), window: DeliveryWindow.Limits = DeliveryWindow.Limits()) {
        self.limits = limits
        self.window = DeliveryWindow(limits: window)
    }

    /// Takes up an endpoint; its index is the number of those before it.
    package mutating func join(_ key: DeliveryTenant) {
        let tenant = tenantIndex[key] ?? tenants.count
        if tenant == tenants.count {
            tenantIndex[key] = tenant
            tenants.append(Tenant())
        }
        members.append(Member(tenant: tenant))
        window.join(tenant: tenant)
    }

    /// Attempts that may still begin in a class.
    package func free(_ deliveryClass: DeliveryClass) -> Int {
        switch deliveryClass {
        case .alarm: limits.total - inFlight
        case .ordinary: limits.total - limits.alarmReserve - inFlight
        }
    }

    package func inFlight(of member: Int) -> Int { members[member].inFlight.alarm + members[member].inFlight.ordinary }

    /// Notes what an endpoint would begin now.
    package mutating func offer(_ member: Int, _ demand: DeliveryClass?) {
        members[member].demand = demand
        if let demand { list(member, demand) }
    }

    private mutating func list(_ member: Int, _ deliveryClass: DeliveryClass) {
        guard !members[member].waitsForSlow || deliveryClass == .alarm else { return }
        let tenant = members[member].tenant
        if !members[member].isListed[deliveryClass] {
            members[member].isListed[deliveryClass] = true
            tenants[tenant].ring[deliveryClass].append(member)
        }
        if members[member].inFlight[deliveryClass] == 0, !members[member].isIdle[deliveryClass] {
            members[member].isIdle[deliveryClass] = true
            tenants[tenant].idle[deliveryClass].append(member)
        }
        list(tenant: tenant, deliveryClass)
    }

    private mutating func list(tenant: Int, _ deliveryClass: DeliveryClass) {
        guard !tenants[tenant].isListed[deliveryClass], !tenants[tenant].ring[deliveryClass].isEmpty else { return }
        tenants[tenant].isListed[deliveryClass] = true
        ring[deliveryClass].append(tenant)
    }

    /// Who may begin an attempt now; it has to be offered again before it is its turn again.
    package mutating func next() -> (member: Int, deliveryClass: DeliveryClass)? {
        for deliveryClass in DeliveryClass.allCases {
            while free(deliveryClass) > 0, deliveryClass == .alarm || window.hasRoom,
                let tenant = ring[deliveryClass].popFirst()
            {
                tenants[tenant].isListed[deliveryClass] = false
                guard deliveryClass == .alarm || window.takes(tenant: tenant) else { continue }
                let (inFlight, free) = (tenants[tenant].inFlight[deliveryClass], free(deliveryClass))
                if inFlight < max(1, free) {
                    let member = nextMember(of: tenant, deliveryClass)
                    list(tenant: tenant, deliveryClass)
                    if let member { return (member, deliveryClass) }
                } else if tenants[tenant].extra[deliveryClass] < free / 4,
                    let member = nextIdle(of: tenant, deliveryClass)
                {
                    tenants[tenant].extra[deliveryClass] += 1
                    list(tenant: tenant, deliveryClass)
                    return (member, deliveryClass)
                }
            }
        }
        return nil
    }

    private mutating func nextMember(of tenant: Int, _ deliveryClass: DeliveryClass) -> Int? {
        while let member = tenants[tenant].ring[deliveryClass].popFirst() {
            members[member].isListed[deliveryClass] = false
            guard mayBegin(member, deliveryClass) else { continue }
            if deliveryClass == .ordinary, members[member].isSlow, slowInFlight >= limits.slow {
                members[member].waitsForSlow = true
                slowWaiting.append(member)
                continue
            }
            members[member].demand = nil
            return member
        }
        return nil
    }

    /// One that has nothing in flight; it stays on the ring, where it has no demand any more.
    private mutating func nextIdle(of tenant: Int, _ deliveryClass: DeliveryClass) -> Int? {
        while let member = tenants[tenant].idle[deliveryClass].popFirst() {
            members[member].isIdle[deliveryClass] = false
            guard members[member].inFlight[deliveryClass] == 0, mayBegin(member, deliveryClass),
                deliveryClass == .alarm || !members[member].isSlow
            else { continue }
            members[member].demand = nil
            return member
        }
        return nil
    }

    private mutating func mayBegin(_ member: Int, _ deliveryClass: DeliveryClass) -> Bool {
        members[member].demand == deliveryClass
            && members[member].inFlight[deliveryClass] < max(1, free(deliveryClass) / limits.endpointPart)
            && (deliveryClass == .alarm || window.takes(member))
    }

    // MARK: The window of ordinary attempts

    /// An ordinary attempt with this number stands in the queues from now on.
    package mutating func queued(_ member: Int, _ number: Int, at now: Instant) {
        window.began(member, number, at: now)
    }

    /// It has ended; ``ended(_:_:isSlow:)`` follows.
    package mutating func leftQueue(_ member: Int, _ number: Int, took duration: Duration, delivered: Bool) {
        window.ended(member, number, took: duration, delivered: delivered)
    }

    /// So many ordinary attempts have left this machine.
    package mutating func left(_ count: Int) { window.left(count) }

    /// When time alone may make room; nil while nobody waits for that.
    package var nextLook: Instant? { window.nextLook }

    /// Makes the room that time has made.
    package mutating func look(at now: Instant) {
        for member in window.pass(now) { relist(member) }
    }

    /// What an attempt of this member kept off the rings may be put back.
    private mutating func relist(_ member: Int) {
        for each in DeliveryClass.allCases { list(tenant: members[member].tenant, each) }
        if let demand = members[member].demand { list(member, demand) }
    }

    /// An attempt has begun.
    package mutating func began(_ member: Int, _ deliveryClass: DeliveryClass) {
        inFlight += 1
        tenants[members[member].tenant].inFlight[deliveryClass] += 1
        members[member].inFlight[deliveryClass] += 1
        guard deliveryClass == .ordinary, members[member].isSlow else { return }
        members[member].slowInFlight += 1
        slowInFlight += 1
    }

    /// An attempt has ended; `isSlow` tells whether it took longer than ``slowAfter``.
    package mutating func ended(_ member: Int, _ deliveryClass: DeliveryClass, isSlow: Bool) {
        inFlight -= 1
        let tenant = members[member].tenant
        tenants[tenant].inFlight[deliveryClass] -= 1
        // Whichever it was: there is one less.
        tenants[tenant].extra[deliveryClass] = max(0, tenants[tenant].extra[deliveryClass] - 1)
        members[member].inFlight[deliveryClass] -= 1
        countSlow(member, isSlow)
        relist(member)
        while slowInFlight < limits.slow, let waiting = slowWaiting.popFirst() {
            members[waiting].waitsForSlow = false
            guard members[waiting].demand == .ordinary else { continue }
            list(waiting, .ordinary)
            // One end makes room for one.
            break
        }
    }

    /// An endpoint that turns slow brings all that it holds into the slow ones' part, and takes it out again.
    private mutating func countSlow(_ member: Int, _ isSlow: Bool) {
        slowInFlight -= members[member].slowInFlight
        members[member].isSlow = isSlow
        members[member].slowInFlight = isSlow ? members[member].inFlight.ordinary : 0
        slowInFlight += members[member].slowInFlight
    }
}
