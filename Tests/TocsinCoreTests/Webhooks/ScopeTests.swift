import Testing
import TocsinCore

/// An event without its scope never leaves (decisions §2): every type, with and without every scope.
@Suite struct ScopeTests {
    private static let dealer = DealerID(stored: "dlr_1")
    private static let app = AppID(stored: "app_1")
    private static let endpoint = EndpointID(stored: "ep_1")

    private static func event(_ type: EventType, for audience: EventAudience = .everyone) -> LoggedEvent {
        LoggedEvent(
            dealerID: dealer,
            sequence: 1,
            id: EventID(stored: "evt_1"),
            type: type,
            siteID: nil,
            partnerID: nil,
            audience: audience,
            createdAt: .midnight("2026-05-26"),
            body: []
        )
    }

    @Test(arguments: EventType.allCases)
    func `an endpoint gets a type with its scope, and with all others but it does not`(type: EventType) {
        var subscription = Subscription(
            endpointID: Self.endpoint,
            owner: .app(Self.app, of: Self.dealer),
            types: Set(EventType.allCases)
        )
        for scope in Scope.allCases {
            let isNeeded = type.requiredScope == scope
            subscription.scopes = [scope]
            #expect(subscription.takes(Self.event(type)) == (isNeeded || type.requiredScope == nil), "\(scope) alone")
            subscription.scopes = Set(Scope.allCases).subtracting([scope])
            #expect(subscription.takes(Self.event(type)) == !isNeeded, "all but \(scope)")
        }
        subscription.scopes = Set(Scope.allCases)
        subscription.types.remove(type)
        #expect(!subscription.takes(Self.event(type)), "a type that it did not ask for")
        subscription.types.insert(type)
        subscription.isRevoked = true
        #expect(!subscription.takes(Self.event(type)), "a revoked app")
    }

    @Test func `only what is about an app's own endpoints, and tests, need no scope`() {
        let free = EventType.allCases.filter { $0.requiredScope == nil }
        #expect(Set(free) == [.testPing, .endpointDisabled, .endpointFailing])
    }
}
