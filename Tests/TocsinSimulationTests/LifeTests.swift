import Foundation
import Testing
import TocsinCore
import TocsinSimulation

/// The invariants over made-up lives of made-up sites, one test each; `TOCSIN_SEED=n` plays a run again.
///
/// I16 (delivery) is shown by the delivery suite, I23 (the same on both ledgers) by the ledgers' conformance suite.
struct LifeTests {
    private static let seed: UInt64 = {
        let asked = ProcessInfo.processInfo.environment["TOCSIN_SEED"].flatMap { UInt64($0) }
        let seed = asked ?? .random(in: 0...UInt64(UInt32.max))
        print("lives: TOCSIN_SEED=\(seed)")
        return seed
    }()

    /// `TOCSIN_LIVES` asks for more than every day's.
    private static let count = ProcessInfo.processInfo.environment["TOCSIN_LIVES"].flatMap { UInt64($0) } ?? 120

    /// Made once: making them takes longer than looking at them.
    private static let lives = (0..<count).map { RandomLife(seed: seed &+ $0) }

    /// Every check of that id holds at every step.
    private func holds(_ id: String) {
        let checks = Check.all.filter { $0.id == id }
        #expect(!checks.isEmpty, "there is no check \(id)")
        var told = 0
        for life in Self.lives {
            for (index, step) in life.steps.enumerated() {
                for check in checks {
                    guard told < 1, let complaint = check.complaint(step) else { continue }
                    told += 1
                    Issue.record("\(id) (\(check.rule)): \(complaint)\n\(life.story(to: index))")
                }
            }
        }
    }

    @Test func `I1 entry and alarm end only by a disarm, the bell or their own rules`() { holds("I1") }
    @Test func `I2 the entry deadline is never later`() { holds("I2") }
    @Test func `I3 at most one exit restart per arming`() { holds("I3") }
    @Test func `I4 a violation yields entry or incident`() { holds("I4") }
    @Test func `I5 an instant zone during entry yields an incident`() { holds("I5") }
    @Test func `I6 a 24 h class works in every state`() { holds("I6") }
    @Test func `I7 a rejected command changes only lock-out and audit`() { holds("I7") }
    @Test func `I8 there is no unauthorised path to disarmed`() { holds("I8") }
    @Test func `I9 a mode change has no gap`() { holds("I9") }
    @Test func `I10 what a failed arming bypassed is rolled back`() { holds("I10") }
    @Test func `I11 a bypassed zone never alarms`() { holds("I11") }
    @Test func `I12 nothing is plainly armed with an open zone`() { holds("I12") }
    @Test func `I13 exit and entry are never both`() { holds("I13") }
    @Test func `I14 everything that counts ends`() { holds("I14") }
    @Test func `I17 duress cannot be told apart`() { holds("I17") }
    @Test func `I18 a common area is armed exactly with all of its partitions`() { holds("I18") }
    @Test func `I19 applied timestamps never decrease`() { holds("I19") }
    @Test func `I20 the same input gives the same bytes`() { holds("I20") }
    @Test func `I21 folding the events gives the state`() { holds("I21") }
    @Test func `I22 every change is explained`() { holds("I22") }

    @Test(arguments: Set(Check.all.map(\.id).filter { $0.hasPrefix("T") }).sorted())
    func `a row of the table holds`(row: String) { holds(row) }

    @Test func `I15 a state is read back as it was stored`() throws {
        for life in Self.lives {
            for (index, step) in life.steps.enumerated() {
                let read = try SiteState(snapshot: step.after.snapshot)
                if read == step.after { continue }
                Issue.record("the state is read back differently\n\(life.story(to: index))")
                return
            }
        }
    }

    @Test func `a server that was busy decides as one that was not`() throws {
        for life in Self.lives {
            // Only what arrived; deadlines are found when the next input comes.
            var machine = SiteMachine(configuration: life.configuration, state: SiteState())
            for (index, step) in life.steps.enumerated() {
                if case .advance = step.input { continue }
                _ = machine.deadlinesReached(by: step.at)
                let late = try #require(Transition(step.input, on: machine.state, at: step.at, in: life.configuration))
                machine = SiteMachine(configuration: life.configuration, state: late.after)
                if late.after == step.after { continue }
                Issue.record("it came out differently\n\(life.story(to: index))")
                return
            }
        }
    }

    @Test func `with nothing but time, every life comes to rest (I14)`() throws {
        for life in Self.lives {
            guard let last = life.steps.last else { continue }
            var machine = SiteMachine(configuration: life.configuration, state: last.after)
            _ = machine.deadlinesReached(by: last.at + .seconds(86_400))
            let restless = machine.state.partitions.values.contains { partition in
                partition.exit != nil || partition.countdown != nil
                    || partition.incidents.contains { $0.abortUntil != nil || $0.bellUntil != nil }
            }
            if restless || machine.state.nextDeadline != nil {
                Issue.record("\(machine.state) does not rest\n\(life.story(to: life.steps.count - 1))")
            }
        }
    }

    @Test func `a batch of signals is its signals in the order in which they happened`() throws {
        for life in Self.lives {
            var random = SimulationRandom(seed: life.seed)
            let zones = life.configuration.zones.map(\.number)
            guard let last = life.steps.last else { continue }
            // A delay of no length ends between two requests, but not within one.
            let isInstant = life.configuration.zones.contains { $0.entryDelaySeconds == 0 }
            if isInstant || life.configuration.partitions.contains(where: { $0.entryDelaySeconds == 0 }) { continue }
            let signals = (0..<12).map { _ in
                SignalInput(
                    zone: random.pick(zones),
                    random.pick([.open, .closed, .triggered]),
                    age: random.number(0...9) * 700
                ).signal(at: last.at)
            }
            var together = SiteMachine(configuration: life.configuration, state: last.after)
            let answers = together.signals(signals, known: [], receivedAt: last.at).answers
            var alone = SiteMachine(configuration: life.configuration, state: last.after)
            for signal in signals.enumerated().sorted(by: { ($0.1.timestamp, $0.0) < ($1.1.timestamp, $1.0) }) {
                let answer = alone.signals([signal.element], known: [], receivedAt: last.at).answers
                #expect(answer.map(\.outcome) == [answers[signal.offset].outcome])
            }
            #expect(answers.count == signals.count)
            if together.state != alone.state { Issue.record("one by one it came out differently: life \(life.seed)") }
        }
    }

    @Test func `lives take every row of the table`() {
        // The same ones every day: what is rare must not be missing by chance.
        let lives = (1...Self.count).map { RandomLife(seed: $0) }
        var coverage = Coverage()
        for life in lives { for step in life.steps { coverage.add(step) } }
        print("rows of \(lives.count) lives:\n\(coverage.text)")
        #expect(coverage.missing.isEmpty, "not taken: \(coverage.missing.joined(separator: ", "))")
    }
}
