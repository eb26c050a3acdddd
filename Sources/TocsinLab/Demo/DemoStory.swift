import TocsinCore
import TocsinEngine

/// The three scenarios of the arming document, told as they happen.
struct DemoStory: Sendable {
    let partner: DemoPartner
    let receiver: DemoReceiver
    let screen: DemoScreen
    let clock: any WallClock
    let exitSeconds: Int
    let entrySeconds: Int

    /// How long a webhook of the story may take before the demo says that it is missing.
    private static let patienceSeconds = 10
    /// Time to read what has just happened.
    private static let pause: Duration = .milliseconds(400)

    func play() async throws {
        screen.heading("Scenario 1 · Arm failure (open zone)", "the times run from the moment the report is sent")
        try await step(
            DemoPartner.Report(
                site: DemoFleet.storySite,
                state: "ARM_FAILURE",
                mode: "away",
                zone: (5, "Back Door")
            ),
            "the user arms; zone 5, Back Door, is open"
        )
        screen.heading(
            "Scenario 2 · Successful arm away",
            "the exit delay of 60 s is shortened to \(exitSeconds) s here"
        )
        try await step(
            DemoPartner.Report(
                site: DemoFleet.storySite,
                state: "ARMING_IN_PROGRESS",
                delaySeconds: exitSeconds,
                mode: "away"
            ),
            "the user arms; the exit delay starts"
        )
        try await wait(exitSeconds, "the user leaves the building")
        try await step(
            DemoPartner.Report(site: DemoFleet.storySite, state: "ARMED_AWAY"),
            "the exit delay completes"
        )
        screen.heading(
            "Scenario 3 · Disarm during entry delay",
            "the entry delay of 30 s is shortened to \(entrySeconds) s here"
        )
        try await step(
            DemoPartner.Report(
                site: DemoFleet.storySite,
                state: "ENTRY_DELAY",
                delaySeconds: entrySeconds,
                zone: (1, "Front Door")
            ),
            "the front door opens; the alarm countdown runs"
        )
        try await wait(1, "the user walks to the panel")
        try await step(
            DemoPartner.Report(site: DemoFleet.storySite, state: "DISARMED"),
            "the code is entered; the countdown is cancelled, no alarm"
        )
    }

    /// Sends one report and shows what followed: the state, then each webhook as it arrives.
    private func step(_ report: DemoPartner.Report, _ remark: String) async throws {
        let time = clock.now.rfc3339Milliseconds.dropFirst(11).dropLast()
        let answer = try await partner.send(report)
        screen.row(
            "\(time)  \(DemoScreen.padded(report.site, 15)) \(DemoScreen.padded(report.state, 19)) \(remark)",
            "",
            style: .strong
        )
        let change =
            answer.state == answer.previousState ? "stays \(answer.state)" : "\(answer.previousState) → \(answer.state)"
        screen.row(
            "              state           \(change)",
            "durable and answered \(answer.status) in \(ms(answer.milliseconds))"
        )
        for event in answer.events {
            guard let webhook = await receiver.webhook(of: EventKey(event), within: Self.patienceSeconds) else {
                screen.row("              webhook         \(event) is missing", "", style: .bad)
                continue
            }
            let took = Double(webhook.at - min(webhook.at, answer.sentAt)) / 1e6
            screen.row(
                "              webhook         \(webhook.type)",
                "signature verified, answered 200 after \(ms(took))",
                style: .good
            )
        }
        try await Task.sleep(for: Self.pause)
    }

    private func wait(_ seconds: Int, _ remark: String) async throws {
        for left in stride(from: seconds, to: 0, by: -1) {
            screen.live(screen.styled("              … \(remark) (\(left) s)", .warm))
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func ms(_ value: Double) -> String { Figures.decimal(value, places: 1) + " ms" }
}
