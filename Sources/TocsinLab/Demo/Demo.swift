import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix
import TocsinCore
import TocsinEngine
import TocsinJSON

/// `tocsin demo`: the real server, a simulated partner and a receiver, played live.
package struct Demo: Sendable {
    /// Exit and entry delays: minutes in life, seconds here.
    private static let exitSeconds = 2
    private static let entrySeconds = 2
    /// When the shop without a panel closes after the fleet is made: its people have left and come back by then.
    private static let closesAfter: Duration = .seconds(9)
    /// How long the last webhooks may take: the refused ones come again after 5 s and then 30 s.
    private static let drainSeconds = 60

    private let screen: DemoScreen
    private let clock: any WallClock
    private let dataDirectory: String?
    private let keepsRunning: Bool

    /// Prepares a demo.
    ///
    /// - Parameters:
    ///   - screen: Where it is shown.
    ///   - dataDirectory: Where the ledger is put; a directory that is removed at the end if there is none.
    ///   - keepsRunning: Whether the server stays up after the show, until the task is cancelled.
    ///   - clock: For the reports' timestamps.
    package init(screen: DemoScreen, dataDirectory: String?, keepsRunning: Bool, clock: some WallClock) {
        self.screen = screen
        self.dataDirectory = dataDirectory
        self.keepsRunning = keepsRunning
        self.clock = clock
    }

    /// Plays it; false if anything was lost.
    package func run() async throws -> Bool {
        let group = MultiThreadedEventLoopGroup.singleton
        let workspace = try Workspace(name: "demo")
        defer { workspace.removeIfTemporary() }
        let data = try dataDirectory ?? workspace.directory("data")
        guard !FileManager.default.fileExists(atPath: LedgerFile.path(data: data)) else {
            throw LabError("\(data) holds a ledger already: the demo wants an empty directory")
        }
        let receiver = DemoReceiver()
        let sink = try await WebhookSink.start(on: group, sampleEvery: 1) { receiver.answer($0) }
        screen.heading("Tocsin demo", "every arming change becomes a durable, signed webhook")
        let place = try DemoTimeZone.make(
            closingAt: clock.now + Self.closesAfter,
            in: workspace.directory("zoneinfo")
        )
        let fleet = try await apply(sink: sink, data: data, workspace: workspace, place)
        let server = try await ServerProcess.start(
            data: data,
            workspace: workspace,
            environment: place?.environment ?? [:]
        )
        do {
            let holds = try await play(fleet, place, server, sink, receiver, data: data, workspace: workspace)
            if keepsRunning { try await keep(fleet, server, receiver) }
            try await server.stop()
            await sink.stop()
            return holds
        } catch {
            // Ctrl-C ends here as well: the server is stopped as an operator would stop it.
            try? await server.stop()
            await sink.stop()
            throw error
        }
    }

    // MARK: Setting up

    /// What the fleet file made.
    private struct Fleet: Sendable {
        var clientID: String
        var clientSecret: String
        /// The key of the app that reads, and of the one that is the keypad of a shop.
        var apiKey: String
        var keypadKey: String
        var sites: [String: String]
    }

    private func apply(
        sink: WebhookSink,
        data: String,
        workspace: Workspace,
        _ place: DemoTimeZone?
    ) async throws -> Fleet {
        let file = workspace.path + "/fleet.yaml"
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let yaml = DemoFleet.yaml(
            receiver: sink.url(endpoint: 0),
            exitSeconds: Self.exitSeconds,
            entrySeconds: Self.entrySeconds,
            shopTimeZone: place == nil ? "America/Chicago" : DemoTimeZone.name
        )
        try yaml.write(toFile: file, atomically: true, encoding: .utf8)
        let start = Stopwatch.now
        let output = try await Program.run(
            try Program.path,
            ["apply", "-f", file, "--allow-private-endpoints"] + LedgerFile.arguments(data: data),
            in: workspace,
            environment: place?.environment ?? [:]
        )
        let made = try JSONParser.parse(output)
        guard let partner = made["partners"]?.array?.first, let clientID = partner["client_id"]?.string,
            let clientSecret = partner["client_secret"]?.string, let apps = made["apps"]?.array, apps.count == 2,
            let app = apps.first(where: { $0["name"] == "front-office" }), let apiKey = app["api_key"]?.string,
            let keypadKey = apps.first(where: { $0["name"] == "keypads" })?["api_key"]?.string,
            let secret = app["endpoints"]?.array?.first?["secret"]?.string
        else { throw LabError("`tocsin apply` did not make the demo's fleet") }
        try sink.verify(secrets: [0: secret])
        var sites: [String: String] = [:]
        for site in made["sites"]?.array ?? [] {
            if let name = site["name"]?.string, let id = site["site_id"]?.string { sites[name] = id }
        }
        screen.row(
            "  tocsin apply    Acme Security with 2 apps, PanelCo with \(sites.count - 1) panels, a shop without one",
            Figures.milliseconds(Stopwatch.now - start)
        )
        return Fleet(clientID: clientID, clientSecret: clientSecret, apiKey: apiKey, keypadKey: keypadKey, sites: sites)
    }

    // MARK: The show

    private func play(
        _ fleet: Fleet,
        _ place: DemoTimeZone?,
        _ server: ServerProcess,
        _ sink: WebhookSink,
        _ receiver: DemoReceiver,
        data: String,
        workspace: Workspace
    ) async throws -> Bool {
        screen.row(
            "  tocsin serve    \(server.url), SQLite ledger with an fsync before every answer",
            "process \(server.processID)"
        )
        let start = Stopwatch.now
        let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
        screen.row("  POST /oauth/token  PanelCo has a token for an hour", Figures.milliseconds(Stopwatch.now - start))
        try await playShop(fleet, place, server, receiver)
        let partner = DemoPartner(server: server.url, token: token, sites: fleet.sites, clock: clock)
        try await DemoStory(
            partner: partner,
            receiver: receiver,
            screen: screen,
            clock: clock,
            exitSeconds: Self.exitSeconds,
            entrySeconds: Self.entrySeconds
        ).play()
        try await DemoDay(
            partner: partner,
            receiver: receiver,
            screen: screen,
            exitSeconds: Self.exitSeconds,
            entrySeconds: Self.entrySeconds
        ).play()
        let account = DemoAccount(partner: partner, receiver: receiver, sink: sink, screen: screen)
        let log = try await account.settle(server: server, apiKey: fleet.apiKey, within: Self.drainSeconds)
        let command = ["admin", "verify", "--json"] + LedgerFile.arguments(data: data)
        do {
            let output = try await Program.run(try Program.path, command, in: workspace)
            let counts = try JSONParser.parse(output)["counts"]
            func count(_ noun: String) -> String { Figures.grouped(Int(counts?[noun]?.integer ?? 0)) }
            let verdict =
                "clean: \(count("event")) events, \(count("delivery_attempt")) attempts, \(count("audit")) audit entries"
            return account.summarise(log: log, ledger: verdict)
        } catch {
            _ = account.summarise(log: log, ledger: "\(error)")
            return false
        }
    }

    private func playShop(
        _ fleet: Fleet,
        _ place: DemoTimeZone?,
        _ server: ServerProcess,
        _ receiver: DemoReceiver
    ) async throws {
        let site = fleet.sites[DemoShop.name] ?? ""
        let inbox = DemoInbox(site: site)
        receiver.watch { inbox.take($0) }
        try await DemoShop(
            keypad: DemoKeypad(server: server.url, site: site, apiKey: fleet.keypadKey, clock: clock),
            inbox: inbox,
            screen: screen,
            clock: clock,
            closesAt: place?.closesAt,
            exitSeconds: Self.exitSeconds
        ).play()
        receiver.watch(nil)
    }

    // MARK: Afterwards

    private func keep(_ fleet: Fleet, _ server: ServerProcess, _ receiver: DemoReceiver) async throws {
        let token = try await server.token(clientID: fleet.clientID, clientSecret: fleet.clientSecret)
        let site = fleet.sites[DemoFleet.pasteSite] ?? ""
        screen.heading("Your turn", "Ctrl-C ends it")
        screen.line("The arming document's own request, for \(DemoFleet.pasteSite); paste it:\n")
        screen.line(
            """
            curl -sS -X POST \(server.url)/v1/sites/\(site)/arming-state \\
              -H 'Content-Type: application/json' -H 'Authorization: Bearer \(token)' \\
              -d '{"state":"armed_away","partition":"all","timestamp":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'","user_id":"user_123","source":"keypad"}'
            """
        )
        keepShop(fleet, server)
        screen.line("\nIts state, the last events, and events as they happen:\n")
        screen.line("curl -sS \(server.url)/v1/sites/\(site)/arming -H 'Authorization: Bearer \(fleet.apiKey)'")
        screen.line("curl -sS '\(server.url)/v1/events?site_id=\(site)' -H 'Authorization: Bearer \(fleet.apiKey)'")
        screen.line("curl -sSN \(server.url)/v1/events/stream -H 'Authorization: Bearer \(fleet.apiKey)'\n")
        screen.line("Webhooks that arrive from now on:")
        receiver.watch { [screen, clock] webhook in
            let time = clock.now.rfc3339Milliseconds.dropFirst(11).dropLast()
            screen.line(
                "  \(time)  \(screen.styled(webhook.type, .good))  \(String(decoding: webhook.body, as: UTF8.self))"
            )
        }
        while true { try await Task.sleep(for: .seconds(3600)) }
    }

    /// Requests for the shop without a panel.
    private func keepShop(_ fleet: Fleet, _ server: ServerProcess) {
        let site = "\(server.url)/v1/sites/\(fleet.sites[DemoShop.name] ?? "")"
        let headers = "-H 'Content-Type: application/json' -H 'Authorization: Bearer \(fleet.keypadKey)'"
        let code = #""user_code":"\#(DemoShop.code)""#
        screen.line("\nThe shop without a panel: arm it, open its Back Door, disarm it, ask why:\n")
        screen.line("curl -sS \(site)/arming/actions/arm \(headers) -d '{\"mode\":\"away\",\(code)}'")
        screen.line(
            "curl -sS \(site)/signals \(headers) "
                + #"-d '{"zone":5,"kind":"open","timestamp":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'"}'"#
        )
        screen.line("curl -sS \(site)/arming/actions/disarm \(headers) -d '{\(code)}'")
        screen.line("curl -sS \(site)/arming/history -H 'Authorization: Bearer \(fleet.keypadKey)'")
    }
}
