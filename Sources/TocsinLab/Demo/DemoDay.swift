import Synchronization
import TocsinEngine

/// A day of 200 shops in eleven seconds: openings, closings, failures, a burglary, and a network that repeats itself.
struct DemoDay: Sendable {
    let partner: DemoPartner
    let receiver: DemoReceiver
    let screen: DemoScreen
    let exitSeconds: Int
    let entrySeconds: Int

    private static let firstHour = 6
    private static let lastHour = 22
    /// One hour of the shops' day lasts less than a second.
    private static let secondsPerHour = 0.7
    /// When the receiver is in trouble, and for how many webhooks.
    private static let troubleAt = 12.2
    private static let troubleCount = 3
    /// Its panel stops in the middle of arming at noon.
    private static let silentShop = 3
    private static let burglaryHour = 19.4
    private static let burglaryRemainder = 42

    /// What the platform will find out by itself: events that no report's answer names.
    static let deadlineEvents = [
        // One of them is the shop's without a panel.
        "alarm.created": 1 + (1...DemoFleet.shops).count { $0 % 80 == burglaryRemainder }, "sync.overdue": 1,
    ]

    /// Something that a shop does at an hour of the day.
    private struct Act: Sendable {
        var hour: Double
        var report: DemoPartner.Report
        /// The network delivers the same report a second time.
        var isRepeated = false
    }

    private enum Item: Sendable {
        case act(Act)
        case trouble
    }

    /// Plays the day; returns when every report is answered.
    func play() async throws {
        screen.heading(
            "A day of \(DemoFleet.shops) shops",
            "sixteen hours in eleven seconds; every webhook is verified"
        )
        let program = (acts().map { ($0.hour, Item.act($0)) } + [(Self.troubleAt, Item.trouble)])
            .sorted { $0.0 < $1.0 }
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            var shownHour = Self.firstHour - 1
            for (hour, item) in program {
                let due = start + .seconds((hour - Double(Self.firstHour)) * Self.secondsPerHour)
                while ContinuousClock.now < due {
                    let elapsed = (ContinuousClock.now - start) / .seconds(1)
                    show(Double(Self.firstHour) + elapsed / Self.secondsPerHour, &shownHour)
                    try await Task.sleep(until: min(due, .now + .milliseconds(100)), clock: .continuous)
                }
                switch item {
                case .trouble:
                    receiver.refuse(next: Self.troubleCount)
                    remark(
                        hour,
                        "the receiver answers its next \(Self.troubleCount) webhooks 503: they come again after 5 s"
                    )
                case .act(let act):
                    if let text = remarkable(act) { remark(act.hour, text) }
                    group.addTask { try await perform(act) }
                }
            }
            try await group.waitForAll()
        }
        show(Double(Self.lastHour), nil)
    }

    private func perform(_ act: Act) async throws {
        let body = partner.body(act.report)
        try await partner.send(body, site: act.report.site)
        if act.isRepeated { try await partner.send(body, site: act.report.site) }
    }

    // MARK: What happens

    private func acts() -> [Act] {
        // Seeded, so that every demo shows the same day.
        let randomness = SeededRandomness(seed: 18)
        var acts: [Act] = []
        for number in 1...DemoFleet.shops {
            let shop = DemoFleet.shopName(number)
            acts.append(
                Act(
                    hour: 6 + randomness.fraction() * 0.3,
                    report: .init(site: shop, state: "armed_away", source: "panel")
                )
            )
            acts += opening(shop, hour: 8 + randomness.fraction() * 2, number)
            if number % 25 == 3 { acts += lunch(shop, number) }
            let closingHour = 18 + randomness.fraction() * (number % 4 == 0 ? 2.5 : 0.2)
            if number != Self.silentShop { acts += closing(shop, hour: closingHour, number) }
        }
        return acts
    }

    private func opening(_ shop: String, hour: Double, _ number: Int) -> [Act] {
        let door = (number: 1, name: "Front Door")
        var acts = [
            Act(hour: hour, report: .init(site: shop, state: "entry_delay", delaySeconds: entrySeconds, zone: door)),
            Act(
                hour: hour + 0.4,
                report: .init(site: shop, state: "disarmed", userID: "keyholder_\(number)"),
                isRepeated: number % 20 == 7
            ),
        ]
        if number % 40 == 11 {
            // A report from before the opening that the network held back for a while.
            acts.append(
                Act(hour: hour + 0.8, report: .init(site: shop, state: "armed_away", source: "panel", age: 600))
            )
        }
        return acts
    }

    private func lunch(_ shop: String, _ number: Int) -> [Act] {
        let start = 12.0 + Double(number % 8) * 0.1
        let leaving = Act(
            hour: start,
            report: .init(site: shop, state: "arming_in_progress", delaySeconds: exitSeconds, mode: "away")
        )
        // One panel falls silent in the middle of arming: the platform notices.
        if number == Self.silentShop { return [leaving] }
        return [
            leaving,
            Act(hour: start + 0.5, report: .init(site: shop, state: "armed_away")),
            Act(hour: start + 1.5, report: .init(site: shop, state: "disarmed", source: "mobile_app")),
        ]
    }

    private func closing(_ shop: String, hour: Double, _ number: Int) -> [Act] {
        var acts: [Act] = []
        if number % 16 == 5 {
            let door = (number: 5, name: "Back Door")
            acts.append(Act(hour: hour, report: .init(site: shop, state: "arm_failure", mode: "away", zone: door)))
        }
        acts += [
            Act(
                hour: hour + 0.3,
                report: .init(site: shop, state: "arming_in_progress", delaySeconds: exitSeconds, mode: "away"),
                isRepeated: number % 20 == 9
            ),
            Act(hour: hour + 0.8, report: .init(site: shop, state: "armed_away")),
        ]
        if number % 80 == Self.burglaryRemainder {
            let door = (number: 5, name: "Back Door")
            acts.append(
                Act(
                    hour: Self.burglaryHour,
                    report: .init(
                        site: shop,
                        state: "entry_delay",
                        source: "panel",
                        userID: nil,
                        delaySeconds: entrySeconds,
                        zone: door
                    )
                )
            )
        }
        return acts
    }

    // MARK: What is shown

    private func remarkable(_ act: Act) -> String? {
        switch act.report.state {
        case "entry_delay" where act.hour >= Self.burglaryHour:
            "\(act.report.site): Back Door opens and nobody disarms → an alarm when the entry delay is over"
        case "arming_in_progress" where act.report.site == DemoFleet.shopName(Self.silentShop) && act.hour < 13:
            "\(act.report.site): its panel falls silent while arming → sync.overdue will tell"
        default: nil
        }
    }

    private func remark(_ hour: Double, _ text: String) {
        screen.line(screen.styled("  \(Self.time(hour))  ", .faint) + screen.styled(text, .warm))
    }

    /// Shows where the day is: live on a terminal, else a line for each hour.
    private func show(_ hour: Double, _ shown: inout Int) {
        if Int(hour) > shown {
            shown = Int(hour)
            screen.line(progress(hour))
        } else {
            screen.live(progress(hour))
        }
    }

    private func show(_ hour: Double, _: Never?) { screen.line(progress(hour)) }

    private func progress(_ hour: Double) -> String {
        let share = (hour - Double(Self.firstHour)) / Double(Self.lastHour - Self.firstHour)
        let filled = min(30, max(0, Int(share * 30)))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        let tally = partner.soFar
        let counts =
            "\(DemoScreen.padded(Figures.grouped(tally.reports), 6)) reports  "
            + "\(DemoScreen.padded(Figures.grouped(tally.acknowledged.count), 6)) events  "
            + "\(Figures.grouped(receiver.count)) webhooks"
        return "  " + screen.styled(Self.time(hour), .strong) + "  " + bar + "  " + counts
    }

    private static func time(_ hour: Double) -> String {
        let minutes = Int(hour * 60)
        let (hours, rest) = (minutes / 60, minutes % 60)
        return (hours < 10 ? "0" : "") + "\(hours):" + (rest < 10 ? "0" : "") + "\(rest)"
    }
}
