import HTTPTypes
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// What a virtual panel tells fits what `GET /v1/event-types` publishes of it, member by member.
@Suite(.timeLimit(.minutes(1))) struct EventSchemaTests {
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
