import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TocsinJSON

/// Settles the demo's accounts: what the server acknowledged, what its log says, and what the receiver got.
struct DemoAccount: Sendable {
    /// One event of the log, as its reader sees it.
    struct Entry: Sendable {
        var key: EventKey
        var type: String
    }

    let partner: DemoPartner
    let receiver: DemoReceiver
    let sink: WebhookSink
    let screen: DemoScreen

    /// Waits until everything in the log has arrived, and returns the log; gives up after so many seconds.
    func settle(server: ServerProcess, apiKey: String, within seconds: Int) async throws -> [Entry] {
        let end = Stopwatch.now + UInt64(seconds) * 1_000_000_000
        var log = try await read(server, apiKey)
        while Stopwatch.now < end {
            let received = receiver.received
            let open = log.count { received[$0.key] == nil }
            let owed = DemoDay.deadlineEvents.reduce(0) { sum, expected in
                sum + max(0, expected.value - log.count { $0.type == expected.key })
            }
            if open == 0, owed == 0 { break }
            screen.live(
                screen.styled("  waiting for \(owed) deadlines to pass and \(open) webhooks to come again", .faint)
            )
            try await Task.sleep(for: .milliseconds(200))
            if owed > 0 { log = try await read(server, apiKey) }
        }
        return log
    }

    /// Reads the whole log through `GET /v1/events`.
    private func read(_ server: ServerProcess, _ apiKey: String) async throws -> [Entry] {
        var entries: [Entry] = []
        var after: Int64 = 0
        while true {
            var request = HTTPClientRequest(url: "\(server.url)/v1/events?after=\(after)&limit=200")
            request.headers.add(name: "authorization", value: "Bearer \(apiKey)")
            let reply = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
            let body = try await reply.body.collect(upTo: 16 << 20)
            guard reply.status == .ok, let page = try JSONParser.parse(Array(body.readableBytesView))["data"]?.array
            else { throw LabError("the log cannot be read: \(reply.status.code) \(String(buffer: body))") }
            for item in page {
                guard let sequence = item["sequence"]?.integer, let type = item["type"]?.string,
                    let id = item["event"]?["id"]?.string
                else { throw LabError("an item of the log lacks its sequence, type or id") }
                after = sequence
                entries.append(Entry(key: EventKey(id), type: type))
            }
            if page.isEmpty { return entries }
        }
    }

    /// Prints the summary; false if anything was lost, forged or inconsistent.
    func summarise(log: [Entry], ledger: String) -> Bool {
        let tally = partner.soFar
        let received = receiver.received
        let logged = Set(log.map(\.key))
        let unlogged = tally.acknowledged.keys.count { !logged.contains($0) }
        let undelivered = log.count { received[$0.key] == nil }
        let lost = unlogged + undelivered
        let problems = Set(sink.arrivals.problems)
        let latencies = Percentiles(
            tally.acknowledged.compactMap { event, sentAt -> UInt64? in
                guard let webhook = received[event], webhook.refusals == 0 else { return nil }
                return webhook.at - min(webhook.at, sentAt)
            }
        )
        let refused = received.values.count { $0.refusals > 0 }
        let alarms = log.count { $0.type == "alarm.created" }
        let failures = log.count { $0.type == "arming.failed" }
        let overdue = log.count { $0.type == "sync.overdue" }

        screen.heading("Summary")
        field(
            "reports",
            tally.reports,
            "\(tally.duplicates) duplicates, \(tally.superseded) superseded, as a flaky network makes them"
        )
        field(
            "changes",
            log.count { $0.type == "arming.state_changed" },
            "\(failures) arm failures, \(alarms) alarms, \(overdue) sync overdue"
        )
        field(
            "deliveries",
            received.count,
            "\(Figures.grouped(sink.arrivals.checkedSignatures)) signatures verified, \(refused) retried after a 503"
        )
        screen.line(
            "  report → 2xx    p50 \(Figures.milliseconds(latencies.at(50)))   p99 \(Figures.milliseconds(latencies.at(99)))"
                + "   max \(Figures.milliseconds(latencies.maximum))"
        )
        screen.line("  tocsin admin verify   \(ledger)")
        for problem in problems { screen.line(screen.styled("  signature       \(problem)", .bad)) }
        let text = "  lost            \(lost)"
        let detail =
            lost == 0
            ? "every acknowledged event is in the log and at the receiver"
            : "\(unlogged) acknowledged but not logged, \(undelivered) logged but not delivered"
        screen.line(screen.styled(text, lost == 0 ? .good : .bad) + "  (\(detail))")
        return lost == 0 && problems.isEmpty
    }

    private func field(_ name: String, _ value: Int, _ remark: String) {
        screen.row("  \(DemoScreen.padded(name, 16))\(Figures.grouped(value))", remark)
    }
}
