import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// `tocsin admin rotate-key`: replaces the encryption key of a ledger that is in use between two runs.
    @Suite
    struct KeyRotation {
        @Test(.timeLimit(.minutes(2)))
        func `secrets, stored replies and codes survive a rotation, and the old key is refused`() async throws {
            try await Receiver.with { receiver in
                try await Installation.with(Fleet.one(hooks: [receiver.url()])) { installation in
                    let key = installation.data.appendingPathComponent("ledger.key")
                    let old = try Data(contentsOf: key)
                    let site = try installation.siteID(Fleet.site)
                    let path = "/v1/sites/\(site)/arming-state"
                    let once = [("Idempotency-Key", "report-1")]
                    let report = Report(state: "armed_away", timestamp: Time.ago(seconds: 5)).json
                    let first = try await installation.start()
                    let reply = try await first.api(try await installation.partnerToken(first))
                        .post(path, report, headers: once)
                    #expect(reply.status == 200, "\(reply.text)")
                    let busy = try await rotate(installation)
                    #expect(busy.status == 3, "a server runs: \(busy)")
                    #expect(try Data(contentsOf: key) == old)
                    #expect(try await first.stop() == 0)

                    let rotated = try await rotate(installation)
                    #expect(rotated.status == 0, "\(rotated)")
                    #expect(try JSONParser.parse(rotated.output)["resealed"]?.integer ?? 0 >= 2, "\(rotated)")
                    #expect(try Data(contentsOf: key) != old)
                    let oldFile = installation.directory.appendingPathComponent("old.key")
                    try old.write(to: oldFile)
                    let refused = try await Program.run(
                        Server.arguments(data: installation.data) + ["--encryption-key-file", oldFile.path]
                    )
                    #expect(refused.status == 3, "\(refused)")
                    #expect(refused.errors.contains("not the key"), "\(refused)")

                    let second = try await installation.start()
                    let partner = second.api(try await installation.partnerToken(second))
                    let replayed = try await partner.post(path, report, headers: once)
                    #expect(replayed.bytes == reply.bytes)
                    #expect(replayed.headers.first(name: "Idempotency-Replayed") == "true")
                    try await partner.report(site, Report(state: "disarmed", timestamp: Time.ago(seconds: 1)))
                    let arrivals = try await receiver.arrivals.wait(for: "4 deliveries") { $0.count >= 4 ? $0 : nil }
                    let secret = try installation.secret(of: receiver.url())
                    for arrival in arrivals {
                        #expect(Signatures.isStandardValid(arrival, secret: secret))
                        #expect(Signatures.isChektValid(arrival, secret: secret))
                    }
                    #expect(try await second.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a rotation that was broken off is ended by the next start, wherever it broke`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let key = installation.data.appendingPathComponent("ledger.key")
                let pending = URL(fileURLWithPath: key.path + ".new")
                let previous = URL(fileURLWithPath: key.path + ".previous")
                let old = try Data(contentsOf: key)

                // Before the ledger took the new key: that key is nobody's, and the old one goes on.
                try Data(repeating: 7, count: 32).base64EncodedData().write(to: pending)
                var server = try await installation.start()
                #expect(try await server.stop() == 0)
                #expect(try Data(contentsOf: key) == old)

                // After it: only the files are as they were before.
                let rotated = try await rotate(installation)
                #expect(rotated.status == 0, "\(rotated)")
                let new = try Data(contentsOf: key)
                #expect(try Data(contentsOf: previous) == old)
                #expect(!FileManager.default.fileExists(atPath: pending.path))
                try new.write(to: pending)
                try old.write(to: key)
                try FileManager.default.removeItem(at: previous)
                server = try await installation.start()
                #expect(try Data(contentsOf: key) == new)
                #expect(try Data(contentsOf: previous) == old)
                #expect(!FileManager.default.fileExists(atPath: pending.path))
                #expect(try await server.stop() == 0)
                try await installation.expectCleanLedger()
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a key from the environment is replaced by one in a file that is named`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let key = installation.data.appendingPathComponent("ledger.key")
                let text = try String(contentsOf: key, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
                try FileManager.default.removeItem(at: key)
                let environment = ["TOCSIN_ENCRYPTION_KEY": text]
                let arguments = ["admin", "rotate-key", "--data", installation.data.path]
                let nowhere = try await Program.run(arguments, environment: environment)
                #expect(nowhere.status == 3, "\(nowhere)")
                #expect(nowhere.errors.contains("--new-key-file"), "\(nowhere)")

                let file = installation.directory.appendingPathComponent("new.key").path
                let named = try await Program.run(arguments + ["--new-key-file", file], environment: environment)
                #expect(named.status == 0, "\(named)")
                #expect(named.output.contains(file), "\(named)")
                let refused = try await Program.run(Server.arguments(data: installation.data), environment: environment)
                #expect(refused.status == 3, "\(refused)")
                let server = try await installation.start(["--encryption-key-file", file])
                #expect(try await server.stop() == 0)
            }
        }

        private func rotate(_ installation: Installation) async throws -> Outcome {
            try await Program.run("admin", "rotate-key", "--json", "--data", installation.data.path)
        }
    }
}
