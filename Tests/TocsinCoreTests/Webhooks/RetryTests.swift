import Testing
import TocsinCore

struct `Retry schedule` {
    let event = Sample.start

    private func pause(_ attempt: Int, age: Int64, retryAfter: Int64? = nil, jitter: Double = 0.5) -> Int64? {
        let now = event + .seconds(age)
        let next = RetrySchedule().next(
            afterAttempt: attempt,
            eventCreatedAt: event,
            now: now,
            retryAfter: retryAfter.map { .seconds($0) },
            jitter: jitter
        )
        guard case .retry(let instant) = next else { return nil }
        return (instant - now).milliseconds / 1000
    }

    @Test func `the default steps follow each other and then repeat`() {
        let steps = (1...13).map { pause($0, age: 0) }
        #expect(steps == [5, 30, 120, 300, 900, 1800, 3600, 7200, 14_400, 21_600, 14_400, 14_400, 14_400])
    }

    @Test func `jitter moves a step by a fifth either way`() {
        #expect(pause(3, age: 0, jitter: 0) == 96)
        #expect(pause(3, age: 0, jitter: 0.999_999) == 143)
    }

    @Test func `no attempt comes later than a day after the event`() {
        #expect(pause(11, age: 86_400 - 14_400) == 14_400)
        #expect(pause(11, age: 86_400 - 14_399) == nil)
    }

    @Test func `an event older than a day gets one attempt`() {
        #expect(pause(1, age: 86_400) == nil)
    }

    @Test(
        arguments: [
            (1, 2, 5), (1, 60, 60), (1, 3600, 3600), (1, 7200, 3600), (9, 3600, 14_400), (9, 90_000, 14_400),
        ] as [(Int, Int64, Int64)]
    )
    func `a pause asked for is never shorter than the step nor longer than an hour or the step`(
        attempt: Int,
        asked: Int64,
        expected: Int64
    ) {
        #expect(pause(attempt, age: 0, retryAfter: asked) == expected)
    }

    @Test func `a pause asked for does not use up the last attempt`() {
        #expect(pause(4, age: 86_400 - 400, retryAfter: 3000) == 400)
    }

    @Test func `an own schedule ends with its last step`() {
        let schedule = RetrySchedule(ownSteps: [.seconds(10), .seconds(172_800)])
        func next(_ attempt: Int) -> RetrySchedule.Next {
            schedule.next(afterAttempt: attempt, eventCreatedAt: event, now: event, retryAfter: nil, jitter: 0.5)
        }
        #expect(next(1) == .retry(at: event + .seconds(10)))
        #expect(next(2) == .retry(at: event + .seconds(172_800)))
        #expect(next(3) == .exhausted)
    }
}

struct `Retry-After` {
    // Sun, 06 Nov 1994 08:49:37 GMT
    let date = Instant(secondsSinceEpoch: 784_111_777)

    @Test(
        arguments: [
            ("120", 120), (" 7 ", 7), ("0", 0), ("99999999999999999999", 999_999_999),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 60), ("Sunday, 06-Nov-94 08:49:37 GMT", 60),
            ("Sun Nov  6 08:49:37 1994", 60),
            ("Sun, 06 Nov 1994 08:40:00 GMT", 0),
        ] as [(String, Int64)]
    )
    func `seconds and all three forms of date are read`(text: String, seconds: Int64) {
        #expect(RetryAfter.pause(text, now: date - .seconds(60)) == .seconds(seconds))
    }

    @Test(arguments: [
        "", "soon", "-5", "1.5", "12x", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 1994 08:49 GMT",
    ])
    func `anything else is ignored`(text: String) {
        #expect(RetryAfter.pause(text, now: date) == nil)
    }

    @Test(arguments: [200, 301, 400, 410, 429, 500, 502, 503, 504])
    func `it counts on the four statuses that mean overload`(status: Int) {
        let pause = AttemptResult(status: status, retryAfter: "9").pause(now: date)
        #expect(pause == ([429, 502, 503, 504].contains(status) ? .seconds(9) : nil))
    }

    @Test(
        arguments: [
            (200, .delivered), (204, .delivered), (299, .delivered), (301, .redirected), (308, .redirected),
            (400, .refused), (404, .refused), (410, .gone), (429, .refused), (500, .serverError), (503, .serverError),
            (101, .serverError), (999, .serverError),
        ] as [(Int, AttemptVerdict)]
    )
    func `a status has one meaning`(status: Int, verdict: AttemptVerdict) {
        #expect(AttemptResult(status: status).verdict == verdict)
        #expect(AttemptResult(status: status, isBroken: true).verdict == .noAnswer)
    }
}

struct `Subscriptions` {
    let other = EndpointID(stored: "ep_other")

    @Test(arguments: EventType.allCases)
    func `an app's endpoint takes a type only with its scope`(type: EventType) {
        var subscription = Sample.subscription(types: Set(EventType.allCases), scopes: [])
        #expect(subscription.takes(Sample.event(1, type: type)) == (type.requiredScope == nil))
        subscription.scopes = Set(type.requiredScope.map { [$0] } ?? [])
        #expect(subscription.takes(Sample.event(1, type: type)))
        subscription.types.remove(type)
        #expect(!subscription.takes(Sample.event(1, type: type)))
    }

    @Test func `a partner's endpoint takes its own sites' events only`() {
        let subscription = Sample.subscription(owner: .partner(Sample.partner), scopes: [])
        #expect(subscription.takes(Sample.event(1, partner: Sample.partner)))
        #expect(!subscription.takes(Sample.event(1, partner: PartnerID(stored: "prt_b"))))
        #expect(!subscription.takes(Sample.event(1)))
    }

    @Test func `a test goes to its endpoint alone whatever that subscribed to`() {
        let subscription = Sample.subscription(types: [])
        #expect(subscription.takes(Sample.event(1, type: .testPing, audience: .endpoint(Sample.endpoint))))
        #expect(!subscription.takes(Sample.event(1, type: .testPing, audience: .endpoint(other))))
    }

    @Test func `a notice goes to the same app's other endpoints`() {
        let subscription = Sample.subscription()
        func takes(_ app: AppID, except: EndpointID) -> Bool {
            subscription.takes(Sample.event(1, type: .endpointFailing, audience: .app(app, except: except)))
        }
        #expect(takes(Sample.app, except: other))
        #expect(!takes(Sample.app, except: Sample.endpoint))
        #expect(!takes(AppID(stored: "app_b"), except: other))
    }

    @Test func `a revoked owner takes nothing`() {
        var subscription = Sample.subscription()
        subscription.isRevoked = true
        #expect(!subscription.takes(Sample.event(1)))
        #expect(!subscription.takes(Sample.event(1, type: .testPing, audience: .endpoint(Sample.endpoint))))
    }
}
