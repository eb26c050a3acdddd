import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Testing
import TocsinJSON

extension EndToEnd {
    /// Images and videos, over real connections and on a real disk.
    @Suite
    struct Snapshots {
        @Test(.timeLimit(.minutes(5)))
        func `a receiver of snapshot.created fetches every picture by the address in it`() async throws {
            let files = [
                ("door.jpg", "image/jpeg"), ("door.png", "image/png"), ("door.webp", "image/webp"),
                ("clip.mp4", "video/mp4"),
            ]
            try await Receiver.with { receiver in
                try await Installation.with(Pictures.fleet(hooks: [receiver.url()])) { installation in
                    let server = try await installation.start()
                    let camera = try installation.camera(server)
                    for (name, type) in files {
                        let bytes = try Pictures.sample(name)
                        let made = try await camera.upload(bytes, as: type, inChunksOf: name == "door.png" ? 10 : nil)
                        #expect(made.status == 201, "\(made.text)")
                        let id = try #require(made.json["snapshot_id"]?.string)
                        let arrival = try await receiver.first("snapshot.created") { $0.text.contains(id) }
                        let url = try #require(try JSONParser.parse(arrival.body)["data"]?["url"]?.string)
                        #expect(url.hasPrefix(server.url + "/media/"))
                        let fetched = try await server.api().get(String(url.dropFirst(server.url.count)))
                        #expect(fetched.status == 200)
                        #expect(fetched.bytes == bytes)
                        #expect(fetched.headers.first(name: "Content-Type") == type)
                        #expect(fetched.headers.first(name: "X-Content-Type-Options") == "nosniff")
                    }
                    #expect(installation.snapshotFiles().count == files.count)
                    #expect(try await server.stop() == 0)
                    try await installation.expectCleanLedger()
                }
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `whatever is too long, too short or something else leaves nothing`() async throws {
            try await Installation.with(Pictures.fleet()) { installation in
                let server = try await installation.start()
                let camera = try installation.camera(server)
                let jpeg = try Pictures.sample("door.jpg")
                let limit = 10 << 20
                var endless = Array(jpeg.dropLast(2))
                endless += [UInt8](repeating: 0x20, count: limit + 1 - endless.count)
                for size in [nil, 65_536] {
                    let refused = try await camera.upload(endless, inChunksOf: size)
                    #expect((refused.status, refused.errorCode) == (413, "body_too_large"), "\(refused.text)")
                }
                let png = try await camera.upload(try Pictures.sample("door.png"), inChunksOf: 7)
                #expect((png.status, png.errorCode) == (415, "unsupported_media_type"))
                #expect(png.text.contains("is image/png, and is called image/jpeg"))
                #expect(try await camera.upload([]).status == 422)
                // Connections that end before their body does, whatever it was announced as.
                let half = Array(jpeg.prefix(300))
                try await camera.sendRaw(["Content-Type: image/jpeg", "Content-Length: 660"], half)
                try await camera.sendRaw(["Content-Type: image/jpeg", "Content-Length: 9999999"], jpeg)
                let chunk = Array("12c\r\n".utf8) + half + Array("\r\n".utf8)
                try await camera.sendRaw(["Content-Type: image/jpeg", "Transfer-Encoding: chunked"], chunk)
                let whole = Array("294\r\n".utf8) + jpeg + Array("\r\n".utf8)
                try await camera.sendRaw(["Content-Type: image/jpeg", "Transfer-Encoding: chunked"], whole)
                #expect(try await camera.upload(jpeg).status == 201)
                try await eventually("the end of broken uploads") { installation.snapshotFiles().count == 1 }
                let admin = server.api(installation.adminToken)
                let list = try await admin.expect(200, .GET, "/v1/snapshots")
                #expect(list["data"]?.array?.count == 1)
                #expect(try await server.stop() == 0)
                #expect(installation.snapshotFiles().count == 1)
            }
        }

        @Test(.timeLimit(.minutes(3)))
        func `kill -9 among uploads loses none that was acknowledged, and no event is without its picture`()
            async throws
        {
            var random = SeededGenerator(for: "kill -9 among uploads")
            try await Installation.with(Pictures.fleet()) { installation in
                var kept: [String: [UInt8]] = [:]
                var number = 0
                for _ in 0..<6 {
                    let server = try await installation.start()
                    let camera = try installation.camera(server)
                    let acknowledged = Watched<[(id: String, bytes: [UInt8])]>([])
                    let limit = Int.random(in: 3...30, using: &random)
                    let first = number
                    number += 200
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for lane in 0..<4 {
                            group.addTask {
                                for step in stride(from: lane, to: 200, by: 4) {
                                    let bytes = try Pictures.jpeg(numbered: first + step)
                                    guard let reply = try? await camera.upload(bytes), reply.status == 201 else {
                                        return
                                    }
                                    let id = try #require(reply.json["snapshot_id"]?.string)
                                    acknowledged.update { $0.append((id, bytes)) }
                                }
                            }
                        }
                        _ = try await acknowledged.wait(for: "\(limit) uploads") { $0.count >= limit ? true : nil }
                        try await server.crash()
                        try await group.waitForAll()
                    }
                    for (id, bytes) in acknowledged.current { kept[id] = bytes }
                }
                let server = try await installation.start()
                #expect(!installation.snapshotFiles().contains { $0.contains("/incoming/") })
                let reader = server.api(try installation.apiKey())
                for (id, bytes) in kept {
                    #expect(try await reader.get("/v1/snapshots/\(id)/content").bytes == bytes)
                }
                let admin = server.api(installation.adminToken)
                let log = try await admin.log(dealer: installation.dealerID())
                #expect(log.isGapless)
                #expect(log.count >= kept.count)
                for event in log {
                    let url = try #require(event.event["data"]?["url"]?.string)
                    let path = try #require(url.range(of: "/media/").map { String(url[$0.lowerBound...]) })
                    #expect(try await reader.get(path).status == 200)
                }
                #expect(try await server.stop() == 0)
                let verified = try await Program.run("admin", "verify", "--deep", "--data", installation.data.path)
                #expect(verified.status == 0, "\(verified)")
            }
        }

        @Test(.timeLimit(.minutes(5)))
        func `a backup with snapshots is restored with them, and verify tells what is missing`() async throws {
            try await Installation.with(Pictures.fleet()) { installation in
                let server = try await installation.start()
                let camera = try installation.camera(server)
                let bytes = try Pictures.sample("door.png")
                let made = try await camera.upload(bytes, as: "image/png")
                let id = try #require(made.json["snapshot_id"]?.string)
                let backup = installation.directory.appendingPathComponent("copy.db").path
                let data = installation.data.path
                let written = try await Program.run(
                    "admin",
                    "backup",
                    "-o",
                    backup,
                    "--with-key",
                    "--with-snapshots",
                    "--data",
                    data
                )
                #expect(written.status == 0, "\(written)")
                #expect(try await server.stop() == 0)

                let other = installation.directory.appendingPathComponent("restored")
                let restored = try await Program.run("admin", "restore", backup, "--data", other.path)
                #expect(restored.status == 0, "\(restored)")
                let second = try await Server.start(data: other)
                installation.adopt(second)
                let reader = second.api(try installation.apiKey())
                #expect(try await reader.get("/v1/snapshots/\(id)/content").bytes == bytes)
                #expect(try await second.stop() == 0)

                let file = try #require(installation.snapshotFiles().first)
                let path = installation.data.appendingPathComponent("snapshots/\(file)")
                try Data(bytes.reversed()).write(to: path)
                let shallow = try await Program.run("admin", "verify", "--data", data)
                #expect(shallow.status == 0, "\(shallow)")
                let deep = try await Program.run("admin", "verify", "--deep", "--data", data)
                #expect(deep.status == 1 && deep.output.contains("holds something else"), "\(deep)")
                try FileManager.default.removeItem(at: path)
                let missing = try await Program.run("admin", "verify", "--data", data)
                #expect(missing.status == 1 && missing.output.contains("is missing"), "\(missing)")
            }
        }

        @Test(.enabled(if: SmallDisk.isPermitted, SmallDisk.comment), .timeLimit(.minutes(5)))
        func `uploads leave the last space of a disk to the ledger, and go on when there is more`() async throws {
            try await Installation.with(Pictures.fleet()) { installation in
                let server = try await SmallDisk.serve(installation, size: "44m")
                installation.adopt(server)
                let camera = try installation.camera(server)
                let partner = server.api(try await installation.partnerToken(server))
                let jpeg = try Pictures.jpeg(numbered: 1)
                #expect(try await camera.upload(jpeg).status == 201)
                let filler = SmallDisk.inside(server, installation.data.appendingPathComponent("filler"))
                try Data(count: 12 << 20).write(to: filler)
                let refused = try await camera.upload(try Pictures.jpeg(numbered: 2))
                #expect((refused.status, refused.errorCode) == (503, "service_unavailable"), "\(refused.text)")
                #expect(refused.headers.first(name: "Retry-After") != nil)
                let report = Report(state: "armed_away", timestamp: Time.fixed(secondsBeforeStart: 10)).json
                let path = "/v1/sites/\(try installation.siteID(Fleet.site))/arming-state"
                #expect(try await partner.post(path, report).status == 200)
                try FileManager.default.removeItem(at: filler)
                #expect(try await camera.upload(try Pictures.jpeg(numbered: 3)).status == 201)
                let list = try await server.api(installation.adminToken).expect(200, .GET, "/v1/snapshots")
                #expect(list["data"]?.array?.count == 2)
                #expect(try await server.stop() == 0)
            }
        }
    }
}
