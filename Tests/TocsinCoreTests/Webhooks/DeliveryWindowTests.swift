import Testing
import TocsinCore

struct `Window of attempts that stand in queues` {
    private let start = Instant(secondsSinceEpoch: 1_800_000_000)

    private func window(_ limits: DeliveryWindow.Limits = DeliveryWindow.Limits()) -> DeliveryWindow {
        var window = DeliveryWindow(limits: limits)
        for _ in 0..<200 { window.join(tenant: 0) }
        return window
    }

    /// Lets deliveries of an endpoint end one after the other, first one that is quick.
    private func teach(_ window: inout DeliveryWindow, _ endpoint: Int, best: Duration, usual: Duration) {
        for number in 0..<100 {
            window.began(endpoint, number, at: start)
            window.left(1)
            window.ended(endpoint, number, took: number == 0 ? best : usual, delivered: true)
        }
    }

    /// Lets attempts begin until there is no room, or so many have.
    private func fill(_ window: inout DeliveryWindow, _ endpoint: Int, at now: Instant, most: Int = 10_000) -> Int {
        var count = 0
        while window.hasRoom, count < most {
            window.began(endpoint, 1_000_000 + count, at: now)
            window.left(1)
            count += 1
        }
        return count
    }

    @Test func `endpoints next door that answer late, for there are many before them, share one short queue`() {
        var window = window()
        for endpoint in 0..<200 {
            teach(&window, endpoint, best: .microseconds(300), usual: .milliseconds(30))
        }
        var count = 0
        for endpoint in 0..<200 { count += fill(&window, endpoint, at: start, most: 16) }
        #expect((160...170).contains(count))
    }

    @Test func `an endpoint far away has what its distance asks for`() {
        var window = window()
        teach(&window, 0, best: .milliseconds(100), usual: .milliseconds(130))
        #expect(fill(&window, 0, at: start) > 2_048)
    }

    @Test func `one far away that answers later and later is given less`() {
        var window = window()
        teach(&window, 0, best: .milliseconds(100), usual: .milliseconds(1_500))
        #expect(fill(&window, 0, at: start) < 200)
    }

    @Test func `who does not answer holds nobody up for longer than the patience`() throws {
        var window = window()
        teach(&window, 0, best: .milliseconds(1), usual: .milliseconds(100))
        _ = fill(&window, 0, at: start)
        #expect(!window.hasRoom)
        let look = try #require(window.nextLook)
        #expect(look >= start + DeliveryWindow.patience)
        #expect(look <= start + DeliveryWindow.patience + .milliseconds(50))
        _ = window.pass(start + DeliveryWindow.patience - .milliseconds(1))
        #expect(!window.hasRoom)
        _ = window.pass(look)
        #expect(window.hasRoom)
        #expect(window.nextLook == nil)
        // Their ends, when they come, make no more room than there is.
        for number in 0..<50 { window.ended(0, 1_000_000 + number, took: .seconds(30), delivered: false) }
        #expect((100...300).contains(fill(&window, 0, at: look)))
    }

    @Test func `failures tell nothing of how long deliveries take`() {
        var window = window()
        teach(&window, 0, best: .milliseconds(80), usual: .milliseconds(90))
        for number in 0..<100 {
            window.began(0, number, at: start)
            window.left(1)
            window.ended(0, number, took: .microseconds(200), delivered: false)
        }
        #expect(fill(&window, 0, at: start) > 2_048)
    }

    @Test func `no more wait for this machine than it can send at once`() {
        var window = window(DeliveryWindow.Limits(queued: 100, waiting: 4))
        for number in 0..<4 { window.began(0, number, at: start) }
        #expect(!window.hasRoom)
        window.left(2)
        #expect(window.hasRoom)
    }

    @Test func `what was forgotten and what is new are told apart by nothing but when they began`() {
        var window = window(DeliveryWindow.Limits(queued: 1, waiting: 10))
        window.began(0, 7, at: start)
        window.began(0, 7, at: start + .milliseconds(200))
        window.began(0, 8, at: start + .milliseconds(200))
        #expect(!window.hasRoom)
        _ = window.pass(start + .milliseconds(260))
        #expect(!window.hasRoom)
        _ = window.pass(start + .milliseconds(460))
        #expect(window.hasRoom)
    }
}
