import TocsinCore
import TocsinEngine
import TocsinJSON

/// A shop without a panel: its doors and people move, and Tocsin is the panel.
struct DemoShop: Sendable {
    let keypad: DemoKeypad
    let inbox: DemoInbox
    let screen: DemoScreen
    let clock: any WallClock
    /// When it is closing time there; none if the demo could not make it so.
    let closesAt: Instant?
    let exitSeconds: Int

    static let name = "Harbour Books"
    static let code = "4711"
    static let person = "Ann"
    private static let frontDoor = 1
    private static let backDoor = 5

    /// How long a webhook may take before the demo says that it is missing.
    private static let patienceSeconds = 10
    /// Time to read what has just happened.
    private static let pause: Duration = .milliseconds(300)

    func play() async throws {
        screen.heading("A shop without a panel", "Tocsin keeps its delays, codes, zones and schedules itself")
        try await refused()
        try await leave()
        try await comeIn()
        try await close()
        try await breakIn()
        try await tell()
    }

    // MARK: What happens

    private func refused() async throws {
        _ = try await keypad.signal(Self.backDoor, "open")
        title("\(Self.person) arms; the Back Door is open")
        let answer = try await keypad.command("arm", code: Self.code, mode: "away")
        for reason in answer.json["error"]?["details"]?["reasons"]?.array ?? [] {
            screen.row(
                "              refused         \(reason["message"]?.string ?? "")",
                "answered \(answer.status) in \(ms(answer.milliseconds))",
                style: .warm
            )
            screen.line("              remedy          \(reason["remedy"]?.string ?? "")")
        }
        try await webhooks(["arming.failed"], since: answer.sentAt)
    }

    private func leave() async throws {
        _ = try await keypad.signal(Self.backDoor, "closed")
        title("The Back Door is closed; \(Self.person) arms and leaves")
        let answer = try await keypad.command("arm", code: Self.code, mode: "away")
        show(answer)
        try await webhooks(["arming.state_changed"], since: answer.sentAt)
        _ = try await keypad.signal(Self.frontDoor, "open")
        _ = try await keypad.signal(Self.frontDoor, "closed")
        screen.live(screen.styled("              … the exit delay of \(exitSeconds) s runs", .warm))
        try await webhooks(["arming.state_changed", "partition.armed"], since: nil)
    }

    private func comeIn() async throws {
        title("The Front Door opens; \(Self.person) enters her code within the entry delay")
        let opened = try await keypad.signal(Self.frontDoor, "open")
        try await webhooks(["arming.state_changed"], since: opened.sentAt)
        _ = try await keypad.signal(Self.frontDoor, "closed")
        let answer = try await keypad.command("disarm", code: Self.code)
        show(answer)
        try await webhooks(["arming.state_changed", "partition.disarmed"], since: answer.sentAt)
    }

    private func close() async throws {
        guard let closesAt else {
            screen.line("  (no schedule: this system has no time zone database)")
            return
        }
        while clock.now < closesAt {
            let left = (closesAt - clock.now).milliseconds / 1000 + 1
            screen.live(screen.styled("              … closing time in \(left) s", .warm))
            try await Task.sleep(for: .milliseconds(200))
        }
        title("18:00 at the shop: the schedule arms it", at: closesAt)
        try await webhooks(["arming.state_changed"], since: nil)
        screen.live(screen.styled("              … the exit delay of \(exitSeconds) s runs", .warm))
        try await webhooks(["arming.state_changed", "partition.armed"], since: nil)
    }

    private func breakIn() async throws {
        guard try await keypad.state().state == "armed_away" else { return }
        title("The Back Door is forced; \(Self.person) calls it off with her code")
        let forced = try await keypad.signal(Self.backDoor, "open")
        try await webhooks(["alarm.created"], since: forced.sentAt)
        let answer = try await keypad.command("disarm", code: Self.code)
        show(answer)
        try await webhooks(["arming.state_changed", "partition.disarmed"], since: answer.sentAt)
        _ = try await keypad.signal(Self.backDoor, "closed")
    }

    /// The history in plain words: who, by what, why.
    private func tell() async throws {
        title("GET …/arming/history tells why")
        for change in try await keypad.history() {
            let time = change["at"]?.string?.dropFirst(11).prefix(8) ?? ""
            let who = change["by"]?["name"]?.string ?? change["source"]?.string ?? ""
            screen.line(
                "    \(time)  \(DemoScreen.padded(change["state"]?.string ?? "", 19)) \(DemoScreen.padded(who, 13)) "
                    + (change["explanation"]?.string ?? "")
            )
        }
    }

    // MARK: What is shown

    private func title(_ text: String, at instant: Instant? = nil) {
        let time = (instant ?? clock.now).rfc3339Milliseconds.dropFirst(11).dropLast()
        screen.row("\(time)  \(DemoScreen.padded(Self.name, 15)) \(text)", "", style: .strong)
    }

    private func show(_ answer: DemoKeypad.Answer) {
        screen.row(
            "              state           \(answer.state ?? "")",
            "durable and answered \(answer.status) in \(ms(answer.milliseconds))"
        )
    }

    /// Shows the webhooks that follow, in the order of their arrival, up to the last of those that are expected.
    private func webhooks(_ expected: [String], since start: UInt64?) async throws {
        var open = expected
        while !open.isEmpty {
            guard let webhook = await inbox.next(within: Self.patienceSeconds) else {
                screen.row("              webhook         \(open.joined(separator: ", ")) is missing", "", style: .bad)
                return
            }
            if let index = open.firstIndex(of: webhook.type) { open.remove(at: index) }
            let after = start.map { " after \(ms(Double(webhook.at - min(webhook.at, $0)) / 1e6))" } ?? ""
            screen.row(
                "              webhook         \(webhook.type)\(try Self.detail(of: webhook))",
                "verified, 200\(after)",
                style: webhook.type == "alarm.created" ? .bad : .good
            )
        }
        try await Task.sleep(for: Self.pause)
    }

    /// What a webhook is about, in a few words.
    private static func detail(of webhook: WebhookSink.Webhook) throws -> String {
        let body = try JSONParser.parse(webhook.body)
        let word =
            switch webhook.type {
            case "arming.state_changed": body["new_state"]?.string ?? body["state"]?.string
            case "alarm.created": body["data"]?["location"]?.string
            default: String?.none
            }
        return word.map { " · \($0)" } ?? ""
    }

    private func ms(_ value: Double) -> String { Figures.decimal(value, places: 1) + " ms" }
}
