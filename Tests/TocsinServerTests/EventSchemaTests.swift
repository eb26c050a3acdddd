import Foundation
import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// What a virtual panel tells fits what `GET /v1/event-types` publishes of it, member by member.
@Suite(.timeLimit(.minutes(5))) struct EventSchemaTests {
    @Test func `everything that a virtual panel tells fits its schema`() async throws {
        try await ServerWorld.run { world in
            let shop = try await world.shop()
            try await alarmAndCancel(world, shop)
            try await failToArm(world, shop)

            let events = try await log(of: shop, world)
            let told = Set(events.map(\.type))
            let expected: Set<EventType> = [
                .alarmCreated, .alarmActivity, .alarmAnnotated, .armingFailed, .partitionArmed, .partitionDisarmed,
                .armingStateChanged,
            ]
            #expect(told.isSuperset(of: expected), "missing: \(expected.subtracting(told))")
            for event in events {
                let body = try JSONParser.parse(event.body)
                let errors = event.type.bodySchema.validate(body, strict: true)
                #expect(errors.isEmpty, "\(event.type): \(errors) \(body.text)")
            }
        }
    }

    private func alarmAndCancel(_ world: ServerWorld, _ shop: ServerWorld.Shop) async throws {
        _ = try await world.command("arm", shop, ["partition": 1, "instant_arm": true])
        _ = try await world.signal(shop, 5, "open")
        world.clock.advance(.seconds(1))
        _ = try await world.signal(shop, 5, "triggered")
        world.clock.advance(.seconds(1))
        _ = try await world.command("disarm", shop)
    }

    private func failToArm(_ world: ServerWorld, _ shop: ServerWorld.Shop) async throws {
        _ = try await world.signal(shop, 5, "open")
        _ = try await world.command("arm", shop, ["partition": 1])
    }

    private func log(of shop: ServerWorld.Shop, _ world: ServerWorld) async throws -> [LoggedEvent] {
        let dealer = DealerID(stored: shop.dealer)
        return try await world.ledger.read { try $0.events(of: dealer, after: 0, limit: 1000) }
    }
}

/// What the tables of members make: encoders, schemas and examples, held against each other.
@Suite struct EventTableTests {
    /// Every body of the samples with the type that it is of.
    static let bodies: [(type: EventType, bytes: [UInt8])] =
        EventSamples.all.flatMap { [$0.full, $0.least] }.map { ($0.type, $0.encoded(at: EventSamples.place)) }
        + EventSamples.commands.map { (.armingCommand, $0.encoded()) }

    @Test func `every type of event has samples`() {
        #expect(Set(Self.bodies.map(\.type)) == Set(EventType.allCases))
        #expect(EventSamples.all.count == EventType.allCases.filter(\.isLogged).count)
    }

    @Test func `every encoded body fits its schema, with all optional members and with none`() throws {
        for (type, bytes) in Self.bodies {
            let body = try JSONParser.parse(bytes)
            let errors = type.bodySchema.validate(body, strict: true)
            #expect(errors.isEmpty, "\(type): \(errors) \(body.text)")
            #expect(!body.text.contains("null"), "\(type): \(body.text)")
        }
    }

    @Test func `the full samples have every member of the table in its order, the least ones the required`() throws {
        for pair in EventSamples.all {
            let entry = EventCatalog.Entry(pair.full.type)
            for (body, fields) in [(pair.full, entry.payload), (pair.least, entry.payload.filter(\.isRequired))] {
                let json = try JSONParser.parse(body.encoded(at: EventSamples.place))
                let names = (entry.isFlat ? json : json["data"])?.object?.names
                #expect(names == fields.map(\.name), "\(entry.type)")
            }
        }
    }

    @Test func `every example fits its schema and shows the required members`() {
        for entry in EventCatalog.all {
            let errors = entry.schema.validate(entry.example, strict: true)
            #expect(errors.isEmpty, "\(entry.type): \(errors) \(entry.example.text)")
        }
    }

    @Test(.enabled(if: EventValidator.mustRun, EventValidator.comment))
    func `an independent validator finds that bodies, examples and the catalogue's payloads fit`() async throws {
        try await ServerWorld.run { world in
            let types = try await world.send(.get, "/v1/event-types", as: world.admin)
            let bodies = try Self.bodies.map { type, bytes -> JSON in
                ["type": .string(type.rawValue), "body": try JSONParser.parse(bytes)]
            }
            let published: JSON = [
                "document": OpenAPIDocument(Operations.all).json, "types": try #require(types["data"]),
                "bodies": .array(bodies),
            ]
            let outcome = try await EventValidator.run(published)
            #expect(outcome.status == 0, "\(outcome.output)")
            #expect(outcome.output.hasPrefix("\(EventType.allCases.count) schemas, "), "\(outcome.output)")
        }
    }
}

/// Python's `jsonschema`, of `Tests/requirements.txt`.
private enum EventValidator {
    static let comment: Comment = "needs .venv: `./tocsin test` makes it from Tests/requirements.txt"

    private static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

    private static let interpreter: URL = {
        let chosen = ProcessInfo.processInfo.environment["TOCSIN_PYTHON"]
        return chosen.map { URL(filePath: $0) }
            ?? tests.deletingLastPathComponent().appending(path: ".venv/bin/python")
    }()

    /// In CI a missing interpreter is a failure, not a reason to skip.
    static let mustRun: Bool = {
        let isCI = ProcessInfo.processInfo.environment["CI"].map { !["", "false", "0"].contains($0) } ?? false
        return isCI || FileManager.default.isExecutableFile(atPath: interpreter.path)
    }()

    /// Judges what is published; both of the script's outputs are in `output`.
    static func run(_ published: JSON) async throws -> (status: Int32, output: String) {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "tocsin-events-\(ProcessInfo.processInfo.processIdentifier)"
        )
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appending(path: "published.json")
        let output = folder.appending(path: "output.txt")
        try Data(published.bytes).write(to: input)
        try Data().write(to: output)
        let process = Process()
        process.executableURL = interpreter
        process.arguments = [
            tests.appending(path: "python/event_schemas.py").path, input.path,
            tests.appending(path: "TocsinCoreTests/Tables/catalogue-payloads.json").path,
        ]
        process.standardInput = FileHandle.nullDevice
        let handle = try FileHandle(forWritingTo: output)
        process.standardOutput = handle
        process.standardError = handle
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        return (status, try String(contentsOf: output, encoding: .utf8))
    }
}
