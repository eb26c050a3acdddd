import Foundation
import Testing
import TocsinJSON

extension EndToEnd {
    /// `kill -9` in the middle of `tocsin admin rotate-key`.
    @Suite
    struct KeyRotationCrashes {
        private static let kills = 12
        /// Each has a secret of its own, so that sealing them anew takes a while.
        private static let hooks = 60

        @Test(.timeLimit(.minutes(4)))
        func `wherever a rotation is killed, every secret stays readable and every message verifies`() async throws {
            try await Receiver.with { receiver in
                let paths = (1...Self.hooks).map { "/hook/\($0)" }
                try await Installation.with(Fleet.one(hooks: paths.map(receiver.url))) { installation in
                    let key = installation.data.appendingPathComponent("ledger.key")
                    // What a kill leaves behind that came before the new key was written.
                    try Data().write(to: URL(fileURLWithPath: key.path + ".new"))
                    let begin = ContinuousClock.now
                    let whole = try await rotation(installation).outcome()
                    let length = ContinuousClock.now - begin
                    #expect(whole.status == 0, "\(whole)")

                    var dice = SeededGenerator(for: "rotations that are killed")
                    var (killed, changed) = (0, 0)
                    for number in 0..<Self.kills {
                        let before = try Data(contentsOf: key)
                        let command = try rotation(installation)
                        // Not to wait for anything: any moment of its life is as good as another.
                        try await Task.sleep(for: length * Double.random(in: 0...1, using: &dice))
                        command.signal(SIGKILL)
                        let outcome = try await command.outcome()
                        if outcome.status == 128 + SIGKILL { killed += 1 }
                        if number % 2 == 1 {
                            let again = try await rotation(installation).outcome()
                            #expect(again.status == 0, "\(again)")
                        }
                        try await expectDeliveries(number, paths, receiver, installation)
                        if try Data(contentsOf: key) != before { changed += 1 }
                    }
                    #expect(killed > 0, "none was killed before its end")
                    #expect(changed >= Self.kills / 2)
                    try await installation.expectCleanLedger()
                    try await verifyElsewhere(paths[0], receiver, installation)
                }
            }
        }

        private func rotation(_ installation: Installation) throws -> Command {
            try Command(Program.executable, ["admin", "rotate-key", "--json", "--data", installation.data.path])
        }

        /// A server starts on what is there, and signs for every endpoint as if nothing had happened.
        private func expectDeliveries(
            _ number: Int,
            _ paths: [String],
            _ receiver: Receiver,
            _ installation: Installation
        ) async throws {
            let known = receiver.arrivals.current.count
            let server = try await installation.start()
            let partner = server.api(try await installation.partnerToken(server))
            let state = number % 2 == 0 ? "armed_away" : "disarmed"
            let site = try installation.siteID(Fleet.site)
            try await partner.report(site, Report(state: state, timestamp: Time.ago(seconds: Self.kills - number)))
            let wanted = Set(paths)
            let arrivals = try await receiver.arrivals.wait(for: "a delivery to each endpoint") { all in
                let new = all.dropFirst(known)
                return Set(new.map(\.path)) == wanted && new.count >= 2 * wanted.count ? Array(new) : nil
            }
            for arrival in arrivals {
                let secret = try installation.secret(of: receiver.url(arrival.path))
                #expect(Signatures.isStandardValid(arrival, secret: secret), "kill \(number), \(arrival.path)")
                #expect(Signatures.isChektValid(arrival, secret: secret), "kill \(number), \(arrival.path)")
            }
            #expect(try await server.stop() == 0)
        }

        /// The public packages take what one endpoint got over all rotations.
        private func verifyElsewhere(
            _ path: String,
            _ receiver: Receiver,
            _ installation: Installation
        ) async throws {
            guard Python.mustRun else { return }
            let arrived = receiver.arrivals.current.filter { $0.path == path }
            let secret = try installation.secret(of: receiver.url(path))
            let recorded: JSON = ["secret": .string(secret), "deliveries": .array(arrived.map(\.recorded))]
            let file = installation.directory.appendingPathComponent("deliveries.json")
            try Data(recorded.bytes).write(to: file)
            let outcome = try await Python.run("verify_deliveries.py", [file.path])
            #expect(outcome.output == "verified \(arrived.count)\n", "\(outcome)")
        }
    }
}
