import Testing
import TocsinCore
import TocsinLedger

@testable import TocsinDelivery

/// In which parts a large batch is recorded.
struct RecordingTests {
    private static let endpoint = EndpointID(stored: "ep_1")
    private static let dealer = DealerID(stored: "dlr_1")
    private let now = Instant(secondsSinceEpoch: 1_800_000_000)

    @Test func `a large batch is recorded in parts, and what depends on others last`() {
        var recording = Recording()
        let count = Recording.attemptsAtOnce * 2
        recording.pending.attempts = (0..<count + 2).map { attempt($0, succeeded: $0 != 0 && $0 != count) }
        recording.pending.cursors = [EndpointCursor(endpointID: Self.endpoint, position: position(Int64(count)))]
        recording.wait(.rebuild(slot: 1))

        var parts: [DeliveryBatch] = []
        repeat {
            parts.append(recording.begin(at: now))
            #expect(recording.takeReady().isEmpty)
            // What comes meanwhile is the next batch's.
            if parts.count == 1 { recording.pending.attempts.append(attempt(count + 2, succeeded: true)) }
            recording.end()
        } while recording.hasRest

        #expect(parts.map(\.attempts.count) == [Recording.attemptsAtOnce, Recording.attemptsAtOnce, 2])
        #expect(parts.dropLast().allSatisfy { $0.cursors.isEmpty && $0.attempts.allSatisfy(\.succeeded) })
        #expect(parts.last?.cursors.count == 1)
        #expect(parts.last?.attempts.allSatisfy { !$0.succeeded } == true)
        #expect(Set(parts.flatMap(\.attempts).map(\.position.sequence)) == Set(0..<Int64(count + 2)))
        #expect(recording.takeReady().count == 1)
        #expect(!recording.isDone && recording.begin(at: now).attempts.count == 1)
        recording.end()
        #expect(recording.isDone)
    }

    @Test func `however much has gathered, it has four parts at most`() {
        var recording = Recording()
        recording.pending.attempts = (0..<Recording.attemptsAtOnce * 40).map { attempt($0, succeeded: true) }
        var parts = 0
        repeat {
            parts += recording.begin(at: now).attempts.isEmpty ? 0 : 1
            recording.end()
        } while recording.hasRest
        #expect(parts == 4)
    }

    @Test func `in busy times a batch waits for more, in others it begins at once`() {
        var recording = Recording()
        func record(_ count: Int, at now: Instant) {
            recording.pending.attempts += (0..<count).map { attempt($0, succeeded: true) }
            _ = recording.begin(at: now)
            recording.end()
        }
        record(64, at: now)
        recording.pending.attempts = [attempt(1, succeeded: true)]
        #expect(!recording.isPausing(at: now))
        record(64, at: now)
        #expect(recording.nextBegin == nil)
        recording.pending.attempts = [attempt(2, succeeded: true)]
        #expect(recording.nextBegin == now + .milliseconds(25))
        #expect(recording.isPausing(at: now + .milliseconds(24)))
        #expect(!recording.isPausing(at: now + .milliseconds(25)))
    }

    @Test func `no batch waits that is waited for, or that is a part's worth`() {
        var recording = Recording()
        recording.pending.attempts = (0..<65).map { attempt($0, succeeded: true) }
        _ = recording.begin(at: now)
        recording.end()
        recording.pending.attempts = [attempt(65, succeeded: true)]
        #expect(recording.isPausing(at: now))
        recording.pending.attempts += (66..<65 + Recording.attemptsAtOnce).map { attempt($0, succeeded: true) }
        #expect(!recording.isPausing(at: now))
        recording.pending.attempts.removeLast()
        #expect(recording.isPausing(at: now))
        recording.wait(.rebuild(slot: 1))
        #expect(!recording.isPausing(at: now))
    }

    private func position(_ sequence: Int64) -> EventPosition {
        EventPosition(dealerID: Self.dealer, sequence: sequence)
    }

    private func attempt(_ number: Int, succeeded: Bool) -> DeliveryAttempt {
        DeliveryAttempt(
            endpointID: Self.endpoint,
            position: position(Int64(number)),
            eventID: EventID(stored: "evt_\(number)"),
            number: 1,
            at: Instant(secondsSinceEpoch: 1_800_000_000),
            succeeded: succeeded,
            status: succeeded ? 200 : 500,
            failure: nil,
            failureMessage: nil,
            address: nil,
            dnsMicroseconds: nil,
            connectMicroseconds: nil,
            tlsMicroseconds: nil,
            firstByteMicroseconds: nil,
            totalMicroseconds: 1,
            requestHeaders: "",
            responseBody: []
        )
    }
}
