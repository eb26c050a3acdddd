import Foundation
import Testing
import TocsinJSON

extension EndToEnd {
    /// What the program refuses to start on, and what it says then.
    @Suite
    struct Starting {
        @Test(.timeLimit(.minutes(5)))
        func `the program tells the version of its API`() async throws {
            let told = try await Program.run("--version")
            #expect(told.status == 0)
            #expect(told.output == "1.0.0\n")
        }

        @Test(.timeLimit(.minutes(5)))
        func `a second server on the same data directory is refused and told of --url`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let first = try await installation.start()
                for command in [
                    Server.arguments(data: installation.data), ["migrate", "--data", installation.data.path],
                ] {
                    let second = try await Program.run(command)
                    #expect(second.status == 3, "\(second)")
                    #expect(second.errors.contains("--url"), "\(second)")
                }
                let file = installation.directory.appendingPathComponent("fleet.json").path
                let apply = try await Program.run("apply", "-f", file, "--data", installation.data.path)
                #expect(apply.status == 3, "\(apply)")
                #expect(apply.errors.contains("--url"), "\(apply)")
                #expect(try await first.api().get("/health/ready").status == 200)
                try await installation.expectCleanLedger()
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a port that is taken is refused at once, and said`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let first = try await installation.start()
                let address = String(first.url.dropFirst("http://".count))
                let elsewhere = installation.directory.appendingPathComponent("elsewhere").path
                let second = try await Program.run("serve", "--data", elsewhere, "--listen", address)
                #expect(second.status == 3, "\(second)")
                #expect(second.errors.contains(address), "\(second)")
                #expect(try await first.api().get("/health/ready").status == 200)
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a corrupt ledger is refused with what to do`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let ledger = try ledgerFile(installation)
                try Data("This is not a ledger. ".utf8).repeated(1000).write(to: ledger)
                let outcome = try await Program.run(Server.arguments(data: installation.data))
                #expect(outcome.status == 3, "\(outcome)")
                #expect(outcome.errors.contains("restore"), "\(outcome)")
                #expect(outcome.errors.contains(ledger.path), "\(outcome)")
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a wrong or missing encryption key is refused`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let key = installation.data.appendingPathComponent("ledger.key")
                let right = try Data(contentsOf: key)
                try Data(repeating: 7, count: 32).base64EncodedData().write(to: key)
                let wrong = try await Program.run(Server.arguments(data: installation.data))
                #expect(wrong.status == 3, "\(wrong)")
                #expect(wrong.errors.contains("key"), "\(wrong)")
                try FileManager.default.removeItem(at: key)
                let missing = try await Program.run(Server.arguments(data: installation.data))
                #expect(missing.status == 3, "\(missing)")
                #expect(missing.errors.contains("--encryption-key-file"), "\(missing)")
                #expect(!FileManager.default.fileExists(atPath: key.path))
                try right.write(to: key)
                let server = try await installation.start()
                #expect(try await server.stop() == 0)
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `an unknown flag is a usage error, and a bad setting a configuration error`() async throws {
            try await withTemporaryDirectory { directory in
                let usage = try await Program.run("serve", "--no-such-flag")
                #expect(usage.status == 2, "\(usage)")
                let data = directory.appendingPathComponent("data").path
                let setting = try await Program.run("serve", "--data", data, "--listen", "nowhere")
                #expect(setting.status == 3, "\(setting)")
                #expect(setting.errors.contains("listen"), "\(setting)")
            }
        }

        private func ledgerFile(_ installation: Installation) throws -> URL {
            let files = try FileManager.default.contentsOfDirectory(
                at: installation.data,
                includingPropertiesForKeys: nil
            )
            let header = Data("SQLite format 3\0".utf8)
            return try #require(files.first { (try? Data(contentsOf: $0))?.starts(with: header) == true })
        }
    }

    /// Copies of a ledger.
    @Suite
    struct Backups {
        @Test(.timeLimit(.minutes(5)))
        func `a backup made beside a running server is restored with its key, and everything is there`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let server = try await installation.start()
                let partner = server.api(try await installation.partnerToken(server))
                let site = try installation.siteID(Fleet.site)
                try await partner.report(site, Report(state: "armed_away"))
                let admin = server.api(installation.adminToken)
                let log = try await admin.log(dealer: installation.dealerID())

                let backup = installation.directory.appendingPathComponent("backup.db").path
                let made = try await Program.run(
                    "admin",
                    "backup",
                    "--output",
                    backup,
                    "--data",
                    installation.data.path
                )
                #expect(made.status == 0, "\(made)")
                #expect(!FileManager.default.fileExists(atPath: backup + ".key"))
                try await server.crash()

                let restored = installation.directory.appendingPathComponent("restored")
                let refused = try await Program.run("admin", "restore", backup, "--data", restored.path)
                #expect(refused.status == 3, "\(refused)")
                #expect(refused.errors.contains("--key-file"), "\(refused)")
                let key = installation.data.appendingPathComponent("ledger.key").path
                let done = try await Program.run("admin", "restore", backup, "--key-file", key, "--data", restored.path)
                #expect(done.status == 0, "\(done)")
                let verified = try await Program.run("admin", "verify", "--data", restored.path)
                #expect(verified.status == 0, "\(verified)")

                let copy = try await Server.start(data: restored)
                installation.adopt(copy)
                let again = try await copy.api(installation.adminToken).log(dealer: installation.dealerID())
                #expect(again.map(\.event.text) == log.map(\.event.text))
                // The partner's secret and the signing key came with it.
                let token = try await installation.partnerToken(copy)
                try await copy.api(token).report(site, Report(state: "disarmed"))
            }
        }
    }

    /// The fleet file.
    @Suite
    struct Applying {
        @Test(.timeLimit(.minutes(5)))
        func `a second apply makes nothing and prints no secrets; a dry run prints the difference`() async throws {
            let hook = "http://127.0.0.1:9/hook"
            try await Installation.with(Fleet.one(hooks: [hook])) { installation in
                let file = installation.directory.appendingPathComponent("fleet.json").path
                let clientSecret = try installation.item("partners", Fleet.partner)["client_secret"]?.string
                let secrets = [
                    try installation.secret(of: hook), try installation.apiKey(), try #require(clientSecret),
                ]
                let target = ["--data", installation.data.path, "--allow-private-endpoints"]
                let again = try await Program.run(["apply", "-f", file] + target)
                #expect(again.status == 0, "\(again)")
                for secret in secrets + ["secret", "api_key"] {
                    #expect(!again.output.contains(secret), "\(secret) is in \(again)")
                }
                let same = try JSONParser.parse(again.output)
                #expect(same["sites"]?.array?.first?["site_id"] == .string(try installation.siteID(Fleet.site)))

                let larger = Fleet.of(
                    sites: [Fleet.site(named: Fleet.site), Fleet.site(named: "Annexe")],
                    hooks: [hook]
                )
                let next = installation.directory.appendingPathComponent("larger.json")
                try Data(larger.bytes).write(to: next)
                let dry = try await Program.run(["apply", "-f", next.path, "--dry-run"] + target)
                #expect(dry.status == 0, "\(dry)")
                #expect((dry.output + dry.errors).contains("Annexe"), "\(dry)")
                let real = try await Program.run(["apply", "-f", next.path] + target)
                #expect(real.status == 0, "\(real)")
                let site = try JSONParser.parse(real.output)["sites"]?.array?.first { $0["name"] == "Annexe" }
                #expect(site?["site_id"]?.string?.hasPrefix("site_") == true)
                try await installation.expectCleanLedger()
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `an unknown member is refused with its line, and nothing is made`() async throws {
            try await withTemporaryDirectory { directory in
                let file = directory.appendingPathComponent("fleet.yaml")
                try Data("dealers:\n  - name: Acme\n    colour: red\n".utf8).write(to: file)
                let data = directory.appendingPathComponent("data").path
                let refused = try await Program.run("apply", "-f", file.path, "--data", data)
                #expect(refused.status == 3 || refused.status == 1, "\(refused)")
                #expect(refused.errors.contains("colour"), "\(refused)")
                #expect(refused.errors.contains("line 3"), "\(refused)")
                #expect(!refused.output.contains("dealer_id"), "\(refused)")
            }
        }
    }
}

extension Data {
    fileprivate func repeated(_ count: Int) -> Data { Data((0..<count).flatMap { _ in self }) }
}
