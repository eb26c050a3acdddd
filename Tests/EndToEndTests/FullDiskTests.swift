import Foundation
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// A disk without space.
    @Suite
    struct FullDisk {
        @Test(.enabled(if: Mounting.isPermitted, Mounting.comment), .timeLimit(.minutes(2)))
        func `a full disk refuses reports with 503, loses nothing, and recovers by itself`() async throws {
            try await Installation.with(Fleet.one()) { installation in
                let server = try await Mounting.serve(installation)
                installation.adopt(server)
                let partner = server.api(try await installation.partnerToken(server))
                let admin = server.api(installation.adminToken)
                let site = try installation.siteID(Fleet.site)
                let path = "/v1/sites/\(site)/arming-state"
                var events: Set<String> = []
                var clock = 2000
                func report() async throws -> Reply {
                    clock -= 1
                    let state = clock.isMultiple(of: 2) ? "armed_away" : "disarmed"
                    let reply = try await partner.post(
                        path,
                        Report(state: state, timestamp: Time.fixed(secondsBeforeStart: clock)).json
                    )
                    events.formUnion((reply.json["event_ids"]?.array ?? []).compactMap(\.string))
                    return reply
                }
                #expect(try await report().status == 200)

                // The disk is filled to its last block; what the ledger has in reserve is used up by reports.
                let filler = Mounting.inside(server, installation.data.appendingPathComponent("filler"))
                Mounting.fill(filler)
                var refusal: Reply?
                for _ in 0..<1000 where refusal == nil {
                    let reply = try await report()
                    if reply.status == 200 { Mounting.fill(filler) } else { refusal = reply }
                }
                let refused = try #require(refusal, "1,000 reports fitted on a full disk")
                #expect(refused.status == 503, "\(refused.text)")
                #expect(refused.errorCode == "service_unavailable", "\(refused.text)")
                #expect(refused.headers.first(name: "Retry-After") != nil)
                #expect(try await report().status == 503)
                // Reading goes on, and shows exactly what was acknowledged.
                #expect(Set(try await admin.log(dealer: installation.dealerID()).map(\.id)) == events)

                try FileManager.default.removeItem(at: filler)
                try await eventually("a report that is taken again") { try await report().status == 200 }
                let log = try await admin.log(dealer: installation.dealerID())
                #expect(log.isGapless)
                #expect(Set(log.map(\.id)) == events)
                #expect(try log.folded() == (try await admin.states(site)))
                let verified = try await Mounting.run(
                    beside: server,
                    ["admin", "verify", "--data", installation.data.path]
                )
                #expect(verified.status == 0, "\(verified)")
                #expect(try await server.stop() == 0)
            }
        }
    }
}

/// A small disk of its own for one server, in a mount namespace that ends with it.
private enum Mounting {
    static let comment: Comment = "needs the right to mount a tmpfs (root, or user namespaces)"

    /// `unshare`'s flags: root needs no user namespace.
    private static let flags = getuid() == 0 ? ["-m"] : ["-rm"]

    static let isPermitted: Bool = {
        let probe = Process()
        probe.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        probe.arguments = flags + ["mount", "-t", "tmpfs", "none", "/mnt"]
        probe.standardError = FileHandle.nullDevice
        do { try probe.run() } catch { return false }
        probe.waitUntilExit()
        return probe.terminationStatus == 0
    }()

    /// Serves a copy of the installation's data directory from a disk of 6 MiB that is mounted over it.
    static func serve(_ installation: Installation) async throws -> Server {
        let script = """
            set -e
            cp -a "$0" "$0.copy" && mount -t tmpfs -o size=6m none "$0" && cp -a "$0.copy/." "$0"
            exec "$@"
            """
        let arguments = flags + ["bash", "-c", script, installation.data.path, Program.executable.path]
        return try await Server.start(
            Command(URL(fileURLWithPath: "/usr/bin/unshare"), arguments + Server.arguments(data: installation.data))
        )
    }

    /// Where a file of the server's own mounts can be reached from here.
    static func inside(_ server: Server, _ file: URL) -> URL {
        URL(fileURLWithPath: "/proc/\(server.command.pid)/root" + file.path)
    }

    /// Appends until not one byte more fits.
    static func fill(_ file: URL) {
        guard let stream = fopen(file.path, "a") else { return }
        defer { fclose(stream) }
        setvbuf(stream, nil, _IONBF, 0)
        for size in [65536, 4096, 1] {
            let block = [UInt8](repeating: 0x58, count: size)
            while fwrite(block, 1, size, stream) == size {}
        }
    }

    /// Runs the program where the server's mounts are.
    static func run(beside server: Server, _ arguments: [String]) async throws -> Outcome {
        let enter = getuid() == 0 ? ["-m"] : ["-U", "-m", "--preserve-credentials"]
        return try await Command(
            URL(fileURLWithPath: "/usr/bin/nsenter"),
            ["-t", "\(server.command.pid)"] + enter + [Program.executable.path] + arguments
        ).outcome()
    }
}
