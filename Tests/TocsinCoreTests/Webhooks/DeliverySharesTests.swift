import Testing
import TocsinCore

struct `Shares of attempts in flight` {
    private let limits = DeliveryShares.Limits(total: 64, alarmReserve: 8, slow: 16, endpointPart: 4)

    private func shares(dealers: Int, endpoints: Int) -> DeliveryShares {
        var shares = DeliveryShares(limits: limits)
        for dealer in 0..<dealers {
            for _ in 0..<endpoints { shares.join(.dealer(DealerID(stored: "dlr_\(dealer)"))) }
        }
        return shares
    }

    /// Lets endpoints that always want more begin as many as they may.
    private func fill(_ shares: inout DeliveryShares, _ wanting: Range<Int>, _ kind: DeliveryClass = .ordinary) -> Int {
        for member in wanting { shares.offer(member, kind) }
        var count = 0
        while let turn = shares.next() {
            shares.began(turn.member, turn.deliveryClass)
            shares.offer(turn.member, kind)
            count += 1
        }
        return count
    }

    @Test func `a greedy dealer leaves as many as it holds`() {
        var shares = shares(dealers: 2, endpoints: 50)
        let greedy = fill(&shares, 0..<50)
        // Half, and a quarter of what is free then for endpoints without any.
        #expect(greedy == 33)
        #expect(fill(&shares, 50..<100) >= 14)
    }

    @Test func `an endpoint without an attempt gets one, whatever its dealer's others hold`() {
        var shares = shares(dealers: 2, endpoints: 20)
        // All but the last are silent, and hold all that their dealer may.
        #expect(fill(&shares, 0..<19) == 28)
        #expect(fill(&shares, 19..<20) == 1)
        for _ in 0..<100 {
            shares.ended(19, .ordinary, isSlow: false)
            shares.offer(19, .ordinary)
            #expect(shares.next()?.member == 19)
            shares.began(19, .ordinary)
        }
        #expect(fill(&shares, 20..<40) >= 13)
    }

    @Test func `others that come later change nothing for an endpoint without an attempt`() {
        var shares = shares(dealers: 3, endpoints: 20)
        #expect(fill(&shares, 0..<19) == 28)
        // Less is free now than the first dealer holds.
        _ = fill(&shares, 20..<40)
        #expect(fill(&shares, 19..<20) == 1)
    }

    @Test func `an endpoint that was passed over gets what becomes free`() {
        var shares = shares(dealers: 1, endpoints: 40)
        let held = fill(&shares, 0..<40)
        for member in 0..<40 where shares.inFlight(of: member) > 0 { shares.ended(member, .ordinary, isSlow: false) }
        var began: Set<Int> = []
        while let turn = shares.next() {
            began.insert(turn.member)
            shares.began(turn.member, turn.deliveryClass)
        }
        #expect(held == 33 && began.count >= 33)
    }

    @Test func `an endpoint that wants all leaves most to the others of its dealer`() {
        var shares = shares(dealers: 1, endpoints: 8)
        #expect(fill(&shares, 0..<1) <= limits.total / limits.endpointPart)
        #expect(fill(&shares, 1..<8) >= 12)
    }

    @Test func `dealers take turns, and within a dealer endpoints`() {
        var shares = shares(dealers: 2, endpoints: 2)
        for member in 0..<4 { shares.offer(member, .ordinary) }
        var turns: [Int] = []
        for _ in 0..<8 {
            guard let turn = shares.next() else { break }
            turns.append(turn.member)
            shares.began(turn.member, turn.deliveryClass)
            shares.ended(turn.member, turn.deliveryClass, isSlow: false)
            shares.offer(turn.member, .ordinary)
        }
        #expect(turns == [0, 2, 1, 3, 0, 2, 1, 3])
    }

    @Test func `an alarm finds room when everything is taken`() {
        var shares = shares(dealers: 70, endpoints: 1)
        #expect(fill(&shares, 0..<69) == limits.total - limits.alarmReserve)
        #expect(fill(&shares, 69..<70, .alarm) > 0)
    }

    @Test func `a dealer whose receivers answer later than they could leaves half of the queue to the others`() {
        var shares = DeliveryShares(window: DeliveryWindow.Limits(queued: 32, waiting: 1_000))
        for dealer in 0..<2 {
            for _ in 0..<50 { shares.join(.dealer(DealerID(stored: "dlr_\(dealer)"))) }
        }
        let start = Instant(secondsSinceEpoch: 1_800_000_000)
        for member in 0..<100 {
            for took in [Duration.microseconds(500), .milliseconds(200)] {
                shares.queued(member, 0, at: start)
                shares.leftQueue(member, 0, took: took, delivered: true)
            }
        }
        var number = 1
        func fill(_ wanting: Range<Int>, at now: Instant) -> Int {
            for member in wanting { shares.offer(member, .ordinary) }
            let before = shares.inFlight
            while let turn = shares.next() {
                shares.began(turn.member, turn.deliveryClass)
                shares.queued(turn.member, number, at: now)
                number += 1
                shares.offer(turn.member, .ordinary)
            }
            return shares.inFlight - before
        }
        #expect((15...18).contains(fill(0..<50, at: start)))
        #expect(fill(50..<100, at: start) >= 8)
        // None of them answers: they may begin others, but not before that is known.
        #expect(fill(0..<50, at: start + .milliseconds(200)) == 0)
        #expect(shares.nextLook != nil)
        shares.look(at: start + .milliseconds(300))
        #expect(fill(0..<0, at: start + .milliseconds(300)) > 10)
    }

    @Test func `slow endpoints, however many, leave the rest to the quick ones`() {
        var shares = shares(dealers: 200, endpoints: 1)
        // Everybody was slow once.
        for member in 0..<150 {
            shares.began(member, .ordinary)
            shares.ended(member, .ordinary, isSlow: true)
        }
        #expect(fill(&shares, 0..<150) == limits.slow)
        #expect(fill(&shares, 150..<200) == limits.total - limits.alarmReserve - limits.slow)
        #expect(shares.slowInFlight == limits.slow)
        // Where slow ones end, others of them begin.
        for member in 0..<limits.slow { shares.ended(member, .ordinary, isSlow: true) }
        var turns: [Int] = []
        while let turn = shares.next() {
            shares.began(turn.member, turn.deliveryClass)
            turns.append(turn.member)
        }
        #expect(turns.contains { $0 < 150 })
        #expect(shares.slowInFlight <= limits.slow)
    }
}
