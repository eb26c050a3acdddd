import Foundation
import TocsinCore
import TocsinEngine
import TocsinJSON

/// What people, panels and cameras of one place do, one thing after the other, until the soak ends.
struct SoakTraffic: Sendable {
    let place: SoakFleet.Place
    let client: SoakClient
    let apiKey: String
    /// The partner's; good for an hour, and renewed before that.
    let token: @Sendable () -> String
    let randomness: SeededRandomness
    let clock: any WallClock
    /// Tells this soak's keys from an earlier one's.
    let name: String

    /// Between two things that happen at a place, in milliseconds.
    private static let pauseMilliseconds = 50.0...400.0
    /// A picture of one pixel.
    private static let picture = Data(
        base64Encoded:
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )

    func run(until end: UInt64) async throws {
        var number = 0
        while Stopwatch.now < end {
            number += 1
            if place.isPlatformTriggered { try await shop(number) } else { try await report(number) }
            let span = Self.pauseMilliseconds
            let pause = span.lowerBound + randomness.fraction() * (span.upperBound - span.lowerBound)
            try await Task.sleep(for: .milliseconds(Int(pause)))
        }
    }

    // MARK: A partner's site

    private func report(_ number: Int) async throws {
        let state = number.isMultiple(of: 2) ? "disarmed" : "armed_away"
        let body: JSON = [
            "state": .string(state), "partition": "all", "timestamp": .string(clock.now.rfc3339Milliseconds),
            "user_id": "user_123", "source": "keypad", "report_id": .string("\(name)-\(number)"),
        ]
        try await send("reports", "/v1/sites/\(place.site)/arming-state", body, number, as: token(), hasKey: false)
    }

    // MARK: A site that Tocsin arms

    private func shop(_ number: Int) async throws {
        switch number % 8 {
        case 1: try await command("arm", ["mode": "away", "instant_arm": true], number)
        case 2: try await signal("open", number)
        case 3: try await send("alarms", "/v1/alarms", ["site_id": .string(place.site), "trigger": "button"], number)
        case 4: try await command("disarm", [:], number)
        case 5: try await signal("closed", number)
        case 6: try await upload(number)
        case 7: try await command("arm", ["mode": "stay"], number)
        default:
            try await heartbeat(number)
            try await command("disarm", [:], number)
        }
    }

    private func command(_ action: String, _ members: JSONObject, _ number: Int) async throws {
        var body = members
        body["user_code"] = .string(SoakFleet.code)
        try await send("commands", "/v1/sites/\(place.site)/arming/actions/\(action)", .object(body), number)
    }

    private func signal(_ kind: String, _ number: Int) async throws {
        let body: JSON = [
            "zone": JSON(SoakFleet.backDoor), "kind": .string(kind),
            "timestamp": .string(clock.now.rfc3339Milliseconds),
            "signal_id": .string("\(name)-\(number)"),
        ]
        try await send("signals", "/v1/sites/\(place.site)/signals", body, number, hasKey: false)
    }

    private func heartbeat(_ number: Int) async throws {
        guard let device = place.device else { return }
        try await send("heartbeats", "/v1/devices/heartbeats", ["device_ids": [.string(device)]], number, hasKey: false)
    }

    private func upload(_ number: Int) async throws {
        guard let device = place.device, let picture = Self.picture else { return }
        try await client.send(
            SoakClient.Call(
                kind: "snapshots",
                path: "/v1/devices/\(device)/snapshots",
                body: Array(picture),
                contentType: "image/png",
                authorization: apiKey,
                key: "\(name)-\(number)",
                dealer: place.dealer
            )
        )
    }

    private func send(
        _ kind: String,
        _ path: String,
        _ body: JSON,
        _ number: Int,
        as authorization: String? = nil,
        hasKey: Bool = true
    ) async throws {
        try await client.send(
            SoakClient.Call(
                kind: kind,
                path: path,
                body: body.bytes,
                authorization: authorization ?? apiKey,
                key: hasKey ? "\(name)-\(number)-\(kind)" : nil,
                dealer: place.dealer
            )
        )
    }
}
