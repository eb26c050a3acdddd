import Foundation
import Testing
import TocsinJSON

extension EndToEnd {
    /// Mail to a site's people, taken in by a mail server of others.
    @Suite(.enabled(if: Python.mustRun, Python.comment), .timeLimit(.minutes(5)))
    struct NoticeTests {
        private static let fleet: JSON = {
            var site = Fleet.site(named: Fleet.site).object ?? [:]
            site["users"] = [
                ["name": "Ann", "email": "ann@example.test"], ["name": "Cy"],
                ["name": "Gone", "email": "gone@example.test"],
            ]
            site["contacts"] = [["name": "Bo", "email": "bo@example.test"]]
            return Fleet.of(sites: [.object(site)])
        }()

        private func fail(_ server: Server, _ installation: Installation, zone: JSON) async throws {
            let partner = server.api(try await installation.partnerToken(server))
            let site = try installation.siteID(Fleet.site)
            try await partner.report(
                site,
                Report(state: "arm_failure", more: ["zones": [["number": 5, "name": zone]]])
            )
        }

        @Test func `a partner's arm_failure is mailed to each of the site's people`() async throws {
            try await MailSink.with(["--refuse", "gone@example.test"]) { sink in
                try await Installation.with(Self.fleet) { installation in
                    let server = try await installation.start(environment: sink.environment())
                    try await fail(server, installation, zone: "Back Door")

                    let mails = try await sink.mails(2)
                    #expect(Set(mails.map(\.recipients)) == [["ann@example.test"], ["bo@example.test"]])
                    for mail in mails {
                        #expect(mail.json["from"]?.string == "alarms@example.com")
                        #expect(mail.json["client"]?.string == "[127.0.0.1]")
                        #expect(mail.header("From") == "Acme Alarms <alarms@example.com>")
                        #expect(mail.header("To") == mail.recipients.first)
                        #expect(mail.header("Subject") == "Main Street 1: Cannot arm - Back Door is open")
                        #expect(mail.text.contains("Area 1 at Main Street 1 was not armed."))
                        #expect(mail.text.contains("Close Back Door (zone 5) or bypass it."))
                        #expect(mail.json["defects"] == [])
                    }
                    #expect(Set(mails.map { $0.header("Message-ID") }).count == 2)
                    #expect(try await server.stop() == 0)
                    #expect(!server.command.errors.current.text.contains("ann@example.test"))
                    try await installation.expectCleanLedger()
                }
            }
        }

        @Test(arguments: ["Tür – „hinten“ 🚪", "x\r\nBcc: eve@example.test\r\n\r\n.\r\nMAIL FROM:<eve@example.test>"])
        func `whatever a partner calls a zone is only words`(zone: String) async throws {
            try await MailSink.with { sink in
                try await Installation.with(Self.fleet) { installation in
                    let server = try await installation.start(environment: sink.environment())
                    try await fail(server, installation, zone: .string(zone))

                    for mail in try await sink.mails(3) {
                        #expect(mail.recipients.count == 1)
                        #expect(mail.headerNames.sorted() == Mail.headerNames)
                        #expect(mail.json["defects"] == [])
                        let words = zone.replacing("\r\n", with: "  ")
                        #expect(mail.header("Subject") == "Main Street 1: Cannot arm - \(words) is open")
                    }
                }
            }
        }

        @Test func `what the server did not send before it was killed is sent by the next one`() async throws {
            try await MailSink.with { sink in
                try await Installation.with(Self.fleet) { installation in
                    // Nobody listens at the port of a sink that has ended.
                    let closed = try await MailSink.with { $0.environment() }
                    let first = try await installation.start(environment: closed)
                    try await fail(first, installation, zone: "Back Door")
                    _ = try await first.command.errors.wait(for: "a failed attempt") {
                        $0.text.contains("a notice was not delivered") ? true : nil
                    }
                    try await first.crash()

                    // The retry is due a minute later.
                    let library = try await ShiftedClock.library(in: installation.directory)
                    let clock = ShiftedClock.environment(library, seconds: 61)
                    _ = try await installation.start(environment: sink.environment().merging(clock) { $1 })
                    let mails = try await sink.mails(3)
                    #expect(Set(mails.flatMap(\.recipients)).count == 3)
                }
            }
        }

        @Test func `mail goes by STARTTLS and AUTH where the settings say so`() async throws {
            try await withTemporaryDirectory { directory in
                let (certificate, key) = try await makeCertificate(in: directory)
                let arguments = [
                    "--certificate", certificate, "--key", key, "--user", "tocsin", "--password", "p@ss:word",
                ]
                try await MailSink.with(arguments) { sink in
                    try await Installation.with(Self.fleet) { installation in
                        let environment = sink.environment(user: "tocsin:p%40ss%3Aword@", caFile: certificate)
                        let server = try await installation.start(environment: environment)
                        try await fail(server, installation, zone: "Back Door")
                        #expect(try await sink.mails(3).allSatisfy { $0.json["tls"] == true })
                    }
                }
            }
        }

        private func makeCertificate(in directory: URL) async throws -> (certificate: String, key: String) {
            let (certificate, key) = (directory.path + "/cert.pem", directory.path + "/key.pem")
            let arguments = [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "1", "-keyout", key, "-out", certificate, "-subj", "/CN=mail.test", "-addext",
                "subjectAltName=IP:127.0.0.1",
            ]
            let outcome = try await Command(URL(filePath: "/usr/bin/env"), arguments).outcome()
            guard outcome.status == 0 else { throw CommandFailed(command: "openssl", outcome: outcome) }
            return (certificate, key)
        }

        @Test func `the password is not shown, and half a setting is refused`() async throws {
            let secret = [
                "TOCSIN_SMTP_URL": "smtp://tocsin:swordfish@mail.example.com", "TOCSIN_MAIL_FROM": "a@b.test",
            ]
            let shown = try await Program.run("config", environment: secret)
            #expect(shown.status == 0)
            #expect(!shown.output.contains("swordfish"))
            #expect(shown.output.contains("<redacted>"))
            for (name, value) in [
                ("TOCSIN_MAIL_FROM", ""), ("TOCSIN_MAIL_FROM", "a@b\r\nBcc: c@d"),
                ("TOCSIN_SMTP_URL", "smtp://tocsin:swordfish@"),
            ] {
                let refused = try await Program.run("config", environment: secret.merging([name: value]) { $1 })
                #expect(refused.status == 3, "\(name)=\(value)")
                #expect(!refused.errors.contains("swordfish"))
            }
        }
    }
}

/// A message as the mail server read it.
private struct Mail: Sendable {
    static let headerNames = [
        "Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "MIME-Version", "Message-ID",
        "Subject", "To",
    ]

    var json: JSON

    var recipients: [String] { (json["to"]?.array ?? []).compactMap(\.string) }
    var text: String { json["text"]?.string ?? "" }
    var headerNames: [String] { (json["headers"]?.array ?? []).compactMap { $0.array?.first?.string } }

    func header(_ name: String) -> String? {
        (json["headers"]?.array ?? []).compactMap(\.array).first { $0.first?.string == name }?.last?.string
    }
}

/// A running `mail_sink.py`.
private struct MailSink: Sendable {
    let command: Command
    let port: String

    /// Runs one around the body.
    static func with<Result>(
        _ arguments: [String] = [],
        _ body: (MailSink) async throws -> Result
    ) async throws -> Result {
        let command = try Python.start("mail_sink.py", arguments)
        defer { command.signal(SIGKILL) }
        return try await body(MailSink(command: command, port: try await command.line(after: "listening on ")))
    }

    /// The settings that send a server's mail here.
    func environment(user: String = "", caFile: String? = nil) -> [String: String] {
        var environment = [
            "TOCSIN_SMTP_URL": "smtp://\(user)127.0.0.1:\(port)",
            "TOCSIN_MAIL_FROM": "Acme Alarms <alarms@example.com>",
        ]
        environment["TOCSIN_CA_FILE"] = caFile
        return environment
    }

    /// The messages that came, once there are so many.
    func mails(_ count: Int) async throws -> [Mail] {
        let lines = try await command.output.wait(for: "\(count) mails; stderr: \(command.errors.current.text)") {
            output -> [String]? in
            let lines = output.lines.filter { $0.hasPrefix("{") }.map(String.init)
            return lines.count >= count ? lines : nil
        }
        return try lines.map { Mail(json: try JSONParser.parse($0)) }
    }
}
