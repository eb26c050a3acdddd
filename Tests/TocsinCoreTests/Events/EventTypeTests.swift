import Testing
import TocsinCore

/// Which events there are, and who may have them (decisions §2 and §8).
struct EventTypeTests {
    @Test(arguments: [
        ("alarm.created", Scope.eventsRead), ("alarm.acknowledged", .eventsRead), ("alarm.dispatched", .eventsRead),
        ("alarm.resolved", .eventsRead), ("device.online", .devicesRead), ("device.offline", .devicesRead),
        ("snapshot.created", .snapshotsRead), ("verification.requested", .eventsRead), ("partition.armed", .sitesRead),
        ("partition.disarmed", .sitesRead), ("relay.activated", .eventsRead),
    ])
    func `the catalogue's types need the catalogue's scopes`(name: String, scope: Scope) {
        #expect(EventType(rawValue: name)?.requiredScope == scope)
    }

    @Test(arguments: [
        ("arming.state_changed", Scope.sitesRead), ("arming.failed", .sitesRead), ("alarm.escalated", .eventsRead),
        ("alarm.annotated", .eventsRead), ("alarm.activity", .eventsRead), ("device.firmware_updated", .devicesRead),
        ("sync.overdue", .sitesRead), ("schedule.failed", .sitesRead), ("endpoint.disabled", nil),
        ("endpoint.failing", nil), ("test.ping", nil),
    ])
    func `our own types need the scopes of their nouns`(name: String, scope: Scope?) throws {
        let type = try #require(EventType(rawValue: name))
        #expect(type.requiredScope == scope)
    }

    @Test func `an audience is read back as it was stored`() {
        let app = EventAudience.app(AppID(stored: "app_1"), except: EndpointID(stored: "ep_1"))
        for audience in [.everyone, app, .endpoint(EndpointID(stored: "ep_2"))] {
            #expect(EventAudience(stored: audience.stored) == audience)
        }
    }
}
