import Foundation
import HTTPTypes
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct SnapshotTests {
    @Test(arguments: [
        ("door.jpg", "image/jpeg"), ("door.png", "image/png"), ("door.webp", "image/webp"), ("clip.mp4", "video/mp4"),
    ])
    func `an upload is kept, told, listed, and given back byte for byte`(name: String, type: String) async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let bytes = try Sample.bytes(name)
            let made = try await world.upload(bytes, as: type, to: camera, query: "?taken_at=2026-05-26T09:59:58Z")
            #expect(made.status == 201, "\(made.text)")
            let id = try made.string("snapshot_id")
            #expect(made["content_type"]?.string == type)
            #expect(made["size"]?.integer == Int64(bytes.count))
            #expect(made["taken_at"]?.string == "2026-05-26T09:59:58.000Z")
            #expect(made["expires_at"]?.string == "2026-05-27T10:00:00Z")
            #expect(made["alarm_id"] == nil)

            let dealer = DealerID(stored: camera.dealer)
            let event = try #require(
                try await world.ledger.read { try $0.events(of: dealer, after: 0, limit: 10) }.last
            )
            #expect(event.type == .snapshotCreated)
            let body = try JSONParser.parse(event.body)
            #expect(EventType.snapshotCreated.bodySchema.validate(body, strict: true).isEmpty)
            #expect(body["data"]?["snapshot_id"]?.string == id)
            #expect(body["data"]?["device_id"]?.string == camera.device)
            #expect(body["data"]?["url"] == made["url"])
            #expect(body["data"]?["expires_at"]?.string == "2026-05-27T10:00:00Z")

            let one = try await world.send(.get, "/v1/snapshots/\(id)", as: camera.key)
            #expect(one.json == made.json)
            let list = try await world.send(.get, "/v1/snapshots?device_id=\(camera.device)", as: camera.key)
            #expect(list["data"]?.array == [made.json])
            let content = try await world.fetch("/v1/snapshots/\(id)/content", as: camera.key)
            #expect(content.bytes == bytes)
            #expect(content.headers[.contentType] == type)
            let media = try await world.fetch(try world.path(of: made.string("url")))
            #expect(media.status == 200)
            #expect(media.bytes == bytes)
            #expect(try world.files().count == 1)
        }
    }

    @Test func `no browser runs what a picture smuggles in`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let made = try await world.upload(try Sample.bytes("door-script-in-comment.jpg"), to: camera)
            let id = try made.string("snapshot_id")
            for path in [try world.path(of: made.string("url")), "/v1/snapshots/\(id)/content"] {
                let file = try await world.fetch(path, as: camera.key)
                #expect(file.headers[.contentType] == "image/jpeg")
                #expect(file.headers[.xContentTypeOptions] == "nosniff")
                #expect(file.headers[.contentSecurityPolicy] == "sandbox; default-src 'none'")
                #expect(file.headers[.contentDisposition] == "inline; filename=\"\(id).jpg\"")
                #expect(file.headers[.cacheControl] == "private")
                #expect(file.headers[.crossOriginResourcePolicy] != nil)
            }
        }
    }

    @Test func `what is no sound picture is refused, audited, and leaves nothing`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let (jpeg, png) = (try Sample.bytes("door.jpg"), try Sample.bytes("door.png"))
            let cases: [(bytes: [UInt8], type: String, status: Int, says: String)] = [
                (png, "image/jpeg", 415, "image/png"),
                (Array("<html><script>alert(1)</script>".utf8), "image/png", 415, "HTML"),
                (jpeg, "image/gif", 415, "image/jpeg"),
                (jpeg, "application/json", 415, "image/jpeg"),
                (Array(jpeg.dropLast(3)), "image/jpeg", 422, "ends before"),
                (Array(png.prefix(40)), "image/png", 422, "ends before"),
                ([], "image/jpeg", 422, "empty"),
                (try Sample.jpeg(ofLength: Snapshot.sizeMaximum + 1), "image/jpeg", 413, "10485760 bytes"),
            ]
            for (bytes, type, status, says) in cases {
                let answer = try await world.upload(bytes, as: type, to: camera)
                #expect(answer.status == status, "\(answer.text)")
                #expect(answer.json["error"]?["message"]?.string?.contains(says) ?? false, "\(answer.text)")
            }
            #expect(try world.files() == [])
            #expect(try await world.counts()["snapshot"] == 0)
            #expect(try await world.counts()["event"] == 0)
            let audit = try await world.ledger.read {
                try $0.audit(within: .platform, filter: AuditFilter(action: "postSnapshot"), page: PageRequest())
            }
            #expect(audit.items.count == cases.count)
            #expect(audit.items.allSatisfy { $0.entry.result != "ok" && $0.entry.siteID?.text == camera.site })
        }
    }

    @Test func `ten mebibytes are taken, whole`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let bytes = try Sample.jpeg(ofLength: Snapshot.sizeMaximum)
            #expect(bytes.count == 10_485_760)
            let made = try await world.upload(bytes, to: camera)
            #expect(made.status == 201, "\(made.text)")
            #expect(try await world.fetch(try world.path(of: made.string("url"))).bytes == bytes)
        }
    }

    @Test func `path tricks in ids and times of the future lead nowhere`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let jpeg = try Sample.bytes("door.jpg")
            for device in ["..%2F..%2Fetc", "dev_..%2Fx", "dev_unknown", "dev_%00", "%2e%2e"] {
                let answer = try await world.fetch(
                    "/v1/devices/\(device)/snapshots",
                    as: camera.key,
                    method: .post,
                    headers: ["Content-Type": "image/jpeg"],
                    body: jpeg
                )
                #expect(answer.status == 404, "\(device)")
            }
            for id in ["..%2Fledger.db", "snap_..%2F..%2Fledger.db", "snap_%00", "snap_x%2F..%2Fy"] {
                for path in [
                    "/v1/snapshots/\(id)", "/v1/snapshots/\(id)/content", "/media/\(id)?expires=1&signature=a",
                ] {
                    #expect(try await world.fetch(path, as: camera.key).status == 404, "\(path)")
                }
            }
            let late = try await world.upload(jpeg, to: camera, query: "?taken_at=2026-05-26T10:00:31Z")
            #expect((late.status, late.code) == (422, "timestamp_in_future"))
            let local = try await world.upload(jpeg, to: camera, query: "?taken_at=2026-05-26T12:00:00%2B02:00")
            #expect((local.status, local.code) == (422, "timestamp_not_utc"))
            #expect(try world.files() == [])
        }
    }

    @Test func `nobody sees another dealer's snapshots, nor stores any`() async throws {
        try await ServerWorld.run { world in
            let (ours, theirs) = (try await world.camera(), try await world.camera("Bolt"))
            let made = try await world.upload(try Sample.bytes("door.jpg"), to: ours)
            let id = try made.string("snapshot_id")
            for path in ["/v1/snapshots/\(id)", "/v1/snapshots/\(id)/content"] {
                #expect(try await world.fetch(path, as: theirs.key).status == 404)
                #expect(try await world.fetch(path).status == 401)
            }
            let list = try await world.send(.get, "/v1/snapshots", as: theirs.key)
            #expect(list["data"]?.array == [])
            for query in ["device_id=\(ours.device)", "site_id=\(ours.site)", "dealer_id=\(ours.dealer)"] {
                #expect(try await world.send(.get, "/v1/snapshots?\(query)", as: theirs.key).status == 404)
            }
            let foreign = try await world.upload(try Sample.bytes("door.jpg"), to: ours, token: theirs.key)
            #expect((foreign.status, foreign.code) == (404, "device_not_found"))
            let (_, reader) = try await world.app(of: ours.dealer, [.snapshotsRead])
            #expect(try await world.upload(try Sample.bytes("door.jpg"), to: ours, token: reader).status == 403)
            let (_, writer) = try await world.app(of: ours.dealer, [.snapshotsWrite])
            #expect(try await world.send(.get, "/v1/snapshots/\(id)", as: writer).status == 403)

            // The same picture of two dealers is two files.
            _ = try await world.upload(try Sample.bytes("door.jpg"), to: theirs)
            #expect(try world.files().count == 2)
        }
    }

    @Test func `an address works for a day, for whoever holds it, and for nothing else`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let made = try await world.upload(try Sample.bytes("door.png"), as: "image/png", to: camera)
            let other = try await world.upload(try Sample.bytes("door.jpg"), to: camera)
            let path = try world.path(of: made.string("url"))
            let (id, otherID) = (try made.string("snapshot_id"), try other.string("snapshot_id"))
            #expect(try await world.fetch(path).status == 200)
            let signature = try #require(path.split(separator: "=").last)
            let flipped = signature.dropLast() + (signature.hasSuffix("0") ? "1" : "0")
            let expires = 1_779_876_000
            for wrong in [
                path.replacing(id, with: otherID), path.replacing(signature, with: flipped),
                path.replacing(signature, with: signature.uppercased()), path.replacing(signature, with: ""),
                path.replacing("expires=\(expires)", with: "expires=\(expires + 1)"),
                path.replacing("expires=\(expires)", with: "expires=%2B\(expires)"),
                path.replacing("expires=\(expires)", with: "expires=+\(expires)"),
                path.replacing("expires=\(expires)", with: "expires=0\(expires)"),
                path.replacing("expires=\(expires)", with: "expires=never"), "/media/\(id)",
                "/media/\(id)?expires=\(expires)", "/media/\(id)?signature=\(signature)",
            ] {
                #expect(wrong != path)
                let answer = try await world.fetch(wrong)
                #expect((answer.status, answer.code) == (404, "snapshot_not_found"), "\(wrong)")
            }
            world.clock.advance(.seconds(86_399))
            #expect(try await world.fetch(path).status == 200)
            world.clock.advance(.seconds(1))
            let dead = try await world.fetch(path)
            #expect((dead.status, dead.code) == (410, "snapshot_expired"))
            // Callers with the scope still have it, without an address.
            #expect(try await world.fetch("/v1/snapshots/\(id)/content", as: camera.key).status == 200)
            let known = try await world.send(.get, "/v1/snapshots/\(id)", as: camera.key)
            #expect(known["url"] == nil && known["expires_at"] == nil)
        }
    }

    @Test func `an address that fetches too fast is told to wait`() async throws {
        try await ServerWorld.run { world in
            var statuses: [Int] = []
            for _ in 0...Int(MediaLimiter.burst) { statuses.append(try await world.fetch("/media/snap_x").status) }
            #expect(Set(statuses.dropLast()) == [404])
            #expect(statuses.last == 429)
            world.clock.advance(.seconds(1))
            #expect(try await world.fetch("/media/snap_x").status == 404)
        }
    }

    @Test func `parts, tags and heads are answered as browsers expect`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let bytes = try Sample.bytes("clip.mp4")
            let made = try await world.upload(bytes, as: "video/mp4", to: camera)
            let path = try world.path(of: made.string("url"))
            func get(_ headers: [String: String], _ method: HTTPRequest.Method = .get) async throws -> ServerWorld.File
            {
                try await world.fetch(path, method: method, headers: headers)
            }
            let whole = try await get([:])
            let tag = try #require(whole.headers[.eTag])
            #expect(whole.headers[.acceptRanges] == "bytes")
            #expect(whole.headers[.contentLength] == "\(bytes.count)")
            let first = try await get(["Range": "bytes=0-1"])
            #expect(first.status == 206)
            #expect(first.bytes == Array(bytes[0...1]))
            #expect(first.headers[.contentRange] == "bytes 0-1/\(bytes.count)")
            #expect(first.headers[.contentLength] == "2")
            #expect(try await get(["Range": "bytes=-5"]).bytes == Array(bytes.suffix(5)))
            #expect(try await get(["Range": "bytes=100-", "If-Range": tag]).bytes == Array(bytes[100...]))
            #expect(try await get(["Range": "bytes=100-", "If-Range": "\"other\""]).bytes == bytes)
            let beyond = try await get(["Range": "bytes=\(bytes.count)-"])
            #expect(beyond.status == 416)
            #expect(beyond.headers[.contentRange] == "bytes */\(bytes.count)")
            #expect(try await get(["If-None-Match": tag]).status == 304)
            let head = try await get(["Range": "bytes=0-1"], .head)
            #expect(head.status == 200)
            #expect(head.headers[.contentLength] == "\(bytes.count)")
            #expect(head.bytes == [])
        }
    }

    @Test(
        arguments: [
            (nil, .whole), ("bytes=0-9", .part(0..<10)), ("bytes=0-0", .part(0..<1)), ("bytes=5-", .part(5..<10)),
            ("bytes=-3", .part(7..<10)), ("bytes=-30", .part(0..<10)), ("bytes=9-99", .part(9..<10)),
            ("BYTES= 2-3", .part(2..<4)), ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=3-2", .whole), ("bytes=0-1,3-4", .whole),
            ("bytes=-", .whole), ("bytes=a-b", .whole), ("bytes=+1-2", .whole), ("items=0-1", .whole),
            ("bytes", .whole),
        ] as [(String?, ByteRange)]
    )
    func `a range is read as the standard says`(header: String?, range: ByteRange) {
        #expect(ByteRange(header, size: 10) == range)
    }
}
