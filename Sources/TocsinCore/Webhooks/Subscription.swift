/// Which events an endpoint takes: its own types, and what its owner may see (decisions §2).
package struct Subscription: Hashable, Sendable {
    package var endpointID: EndpointID
    package var owner: EndpointOwner
    package var types: Set<EventType>
    /// The scopes of the owning app; a partner has every scope.
    package var scopes: Set<Scope>
    /// A revoked app or partner gets nothing more, not even tests.
    package var isRevoked: Bool

    package init(
        endpointID: EndpointID,
        owner: EndpointOwner,
        types: Set<EventType>,
        scopes: Set<Scope> = Set(Scope.allCases),
        isRevoked: Bool = false
    ) {
        self.endpointID = endpointID
        self.owner = owner
        self.types = types
        self.scopes = scopes
        self.isRevoked = isRevoked
    }

    /// Whether the owner's scopes let it see events of the type; a partner sees all of its own sites'.
    private func covers(_ type: EventType) -> Bool {
        guard case .app = owner else { return true }
        return type.requiredScope.map(scopes.contains) ?? true
    }

    /// The types of alarms that the endpoint takes now.
    var alarmTypes: Set<EventType> { isRevoked ? [] : types.filter { $0.isAlarmClass && covers($0) } }

    /// Whether the event may go to the endpoint now; asked when it enters and again at every attempt.
    package func takes(_ event: LoggedEvent) -> Bool {
        if isRevoked { return false }
        switch event.audience {
        case .endpoint(let only): return only == endpointID
        case .app(let app, let except):
            guard case .app(app, _) = owner, except != endpointID else { return false }
        case .everyone: break
        }
        guard types.contains(event.type) else { return false }
        switch owner {
        case .app(_, let dealer):
            guard dealer == event.dealerID else { return false }
            return covers(event.type)
        case .partner(let partner): return event.partnerID == partner
        }
    }
}
