import Foundation
import Logging
import ServiceLifecycle
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite
import TocsinSimulation
import TocsinTestSupport

/// I15 over the real ledger: a server that is stopped and started between all requests has the same future as one that
/// runs on, byte for byte but for the ids that were drawn: those name the same events.
///
/// `TOCSIN_SEED=n` plays a run again.
@Suite(.timeLimit(.minutes(5))) struct RestartTests {
    private static let seed: UInt64 = {
        let asked = ProcessInfo.processInfo.environment["TOCSIN_SEED"].flatMap { UInt64($0) }
        let seed = asked ?? .random(in: 0...UInt64(UInt32.max))
        print("restarts: TOCSIN_SEED=\(seed)")
        return seed
    }()

    /// The first seeds whose lives are of sites that Tocsin itself guards.
    private static let seeds: [UInt64] = {
        let own = (0..<24).map { seed &+ $0 }.filter { seed in
            RandomLife(seed: seed, inputs: 0).configuration.site.armingModel == .platformTriggered
        }
        return Array(own.prefix(10))
    }()

    @Test(arguments: seeds)
    func `a restart at every step gives the same future as none`(seed: UInt64) async throws {
        let script = try Script(RandomLife(seed: seed, inputs: 30))
        let steady = try await script.play(restarting: false)
        let restarted = try await script.play(restarting: true)
        #expect(steady.states.count == script.requests.count)
        for (index, (one, other)) in zip(steady.states, restarted.states).enumerated() where one != other {
            Issue.record("life \(seed), request \(index):\n\(one)\n\(other)")
            return
        }
        #expect(steady.events == restarted.events, "life \(seed): the log came out differently")
        #expect(!steady.events.isEmpty)
    }
}

/// What was stored after each request, and the log at the end.
private struct Recording: Sendable {
    var states: [String] = []
    var events: [String] = []
}

/// A made-up life as requests to an engine, its site as rows of a ledger.
private struct Script: Sendable {
    struct Timed: Sendable {
        var at: Instant
        var input: SimulationInput
    }

    let configuration: SiteConfiguration
    private(set) var requests: [Timed] = []

    init(_ life: RandomLife) throws {
        configuration = life.configuration
        let shift = LedgerWorld.start - SimulatedSite.start
        for step in life.steps {
            switch step.input {
            case .command, .signal: requests.append(Timed(at: step.at + shift, input: step.input))
            case .device, .report, .resolve, .raise, .answer, .advance: continue
            }
        }
    }

    func play(restarting: Bool) async throws -> Recording {
        let ledger = try SQLiteLedger.open(.memory)
        let world = try await LedgerWorld.make(in: ledger)
        var site = configuration.site
        site.dealerID = world.dealer.id
        site.createdAt = LedgerWorld.start
        site.name = "Shop"
        try await store(site, in: ledger)
        let server = Server(ledger: ledger, site: site.id, dealer: world.dealer.id)
        var recording = Recording()
        if restarting {
            for request in requests {
                recording.states += try await server.run([request], withTimer: true)
            }
        } else {
            // Deadlines are met when the next request comes; that makes no difference either.
            recording.states = try await server.run(requests, withTimer: false)
        }
        recording.events = try await server.log()
        return recording
    }

    private func store(_ site: Site, in ledger: any Ledger) async throws {
        let zones = configuration.zones.map { $0.fixture(of: site.id) }
        let users = configuration.users.map { $0.fixture(of: site.id) }
        try await ledger.write { [partitions = configuration.partitions] transaction in
            try transaction.insert(site, partitions: partitions)
            for fixture in zones + users { try transaction.insert(fixture) }
        }
    }
}

/// A server that may be stopped and started over one ledger; its clock and its chance go on.
private struct Server: Sendable {
    let ledger: any Ledger
    let site: SiteID
    let dealer: DealerID
    private let clock = ManualClock(at: LedgerWorld.start)
    private let randomness = SeededRandomness(seed: 42)

    init(ledger: any Ledger, site: SiteID, dealer: DealerID) {
        self.ledger = ledger
        self.site = site
        self.dealer = dealer
    }

    /// Starts, takes the requests, stops; the stored state after each.
    func run(_ requests: [Script.Timed], withTimer: Bool) async throws -> [String] {
        if let first = requests.first { clock.move(to: first.at) }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let engine = SiteEngine(
            ledger: ledger,
            clock: clock,
            randomness: randomness,
            vault: Vault(key: Array(repeating: 7, count: Vault.keyLength)),
            sinks: [],
            logger: logger
        )
        let services: [any Service] = withTimer ? [engine, engine.deadlines] : [engine]
        let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: services, logger: logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var states: [String] = []
            for request in requests {
                clock.move(to: request.at)
                try await take(request, engine)
                states.append(try await state())
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return states
        }
    }

    private func take(_ timed: Script.Timed, _ engine: SiteEngine) async throws {
        let request = Request(
            siteID: site,
            reach: .dealer(dealer),
            actor: AuditEntry.Actor(.admin, "tok_1"),
            receivedAt: timed.at,
            requestID: "req_test"
        )
        switch timed.input {
        case .command(let input):
            _ = try await engine.command(PanelCommand(input.command, request: request) { _ in [] })
        case .signal(let input):
            _ = try await engine.signals(SignalBatch([input.signal(at: timed.at)], request: request) { _ in [] })
        case .device, .report, .resolve, .raise, .answer, .advance: break
        }
    }

    private func state() async throws -> String {
        var state = try await ledger.load([site])[site]?.state ?? SiteState()
        // Whether the timer's wake at the start or the request is stored first is chance, and nothing that anybody sees.
        state.looks = 0
        return String(decoding: state.snapshot, as: UTF8.self)
    }

    /// The log, each event's id replaced by its number: what is decided ahead draws ids that another run draws later, or
    /// never.
    func log() async throws -> [String] {
        let events = try await ledger.read { [dealer] in try $0.events(of: dealer, after: 0, limit: 10_000) }
        var numbers: [Substring: Int] = [:]
        return events.map { event in
            let body = String(decoding: event.body, as: UTF8.self).replacing(/evt_[0-9a-z]{26}/) { id in
                let number = numbers[id.output] ?? numbers.count
                numbers[id.output] = number
                return "event \(number)"
            }
            return "\(event.sequence) \(event.type.rawValue) \(body)"
        }
    }
}

extension Zone {
    /// The row that reads back as this zone.
    fileprivate func fixture(of site: SiteID) -> Fixture {
        var settings: JSONObject = [
            "type": .string(type.rawValue), "partitions": .array(partitions.map { JSON($0) }),
            "delay_on_seconds": JSON(delayOnSeconds), "silent": .bool(silent), "swinger_limit": JSON(swingerLimit),
            "swinger_exempt": .bool(swingerExempt), "bypassable": .bool(bypassable),
            "force_armable": .bool(forceArmable), "entry_override": .bool(entryOverride),
            "abort_window": .bool(abortWindow), "exterior": .bool(exterior),
        ]
        settings["kind"] = kind.map(JSON.string)
        settings["modes"] = modes.map { JSON($0.map(\.rawValue).sorted()) }
        settings["entry_delay_seconds"] = entryDelaySeconds.map { JSON($0) }
        settings["cross_group"] = crossGroup.map(JSON.string)
        return Fixture(id: id.text, siteID: site, kind: .zone, number: number, name: name, settings: settings)
    }
}

extension SiteUser {
    /// The row that reads back as this user, but for when the code is good: that is the pure machine's affair.
    fileprivate func fixture(of site: SiteID) -> Fixture {
        var rights: JSONObject = [:]
        rights["partitions"] = partitions.map { .array($0.sorted().map { JSON($0) }) }
        rights["modes"] = modes.map { JSON($0.map(\.rawValue).sorted()) }
        rights["actions"] = actions.map { JSON($0.map(\.rawValue).sorted()) }
        var settings: JSONObject = ["rights": .object(rights), "one_time": .bool(maximumUses == 1)]
        settings["code_hash"] = codeHash.map(JSON.string)
        settings["duress_code_hash"] = duressCodeHash.map(JSON.string)
        return Fixture(id: id.text, siteID: site, kind: .user, number: nil, name: name, settings: settings)
    }
}
