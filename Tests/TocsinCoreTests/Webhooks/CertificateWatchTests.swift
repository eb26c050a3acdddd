import Testing
import TocsinCore

struct `Certificates that expire` {
    private static let end = Sample.start
    private static func before(days: Int) -> Instant { end - .seconds(days * 86_400) }

    @Test func `each stage is told once, on its day`() {
        var watch = CertificateWatch(expiresAt: Self.end)
        var told: [CertificateWatch.Stage?] = []
        for days in [31, 30, 29, 7, 6, 1, 0] {
            told.append(watch.dueStage(now: Self.before(days: days)))
        }
        #expect(told == [nil, .month, nil, .week, nil, .day, nil])
        #expect(watch.nextAnnouncement == nil)
    }

    @Test func `there is one wake-up for each stage, and of those that have passed only the last is told`() {
        var watch = CertificateWatch(expiresAt: Self.end)
        #expect(watch.nextAnnouncement == Self.before(days: 30))
        #expect(watch.dueStage(now: Self.before(days: 3)) == .week)
        #expect(watch.nextAnnouncement == Self.before(days: 1))
    }

    @Test func `the same warning has the same event id, and another one another`() {
        let other = EndpointID(stored: "ep_other")
        let ids = [Sample.endpoint, other].flatMap { endpoint in
            CertificateWatch.Stage.allCases.flatMap { stage in
                [Self.end, Self.end + .seconds(1)].map { end in
                    EndpointAnnouncement(endpointID: endpoint, reason: .certificateExpiring(stage, at: end)).eventID
                }
            }
        }
        #expect(Set(ids).count == 12)
        let again = EndpointAnnouncement(
            endpointID: Sample.endpoint,
            reason: .certificateExpiring(.month, at: Self.end)
        )
        #expect(again.eventID == ids[0] && !again.disables)
    }
}
