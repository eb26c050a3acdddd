import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

/// Files of real encoders, in `Tests/Samples`.
enum Sample {
    static func bytes(_ name: String) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return Array(try Data(contentsOf: tests.appendingPathComponent("Samples/\(name)")))
    }

    /// A sound JPEG file of that length: comments before its picture.
    static func jpeg(ofLength length: Int) throws -> [UInt8] {
        var bytes = try Self.bytes("door.jpg")
        var missing = length - bytes.count
        var comments: [UInt8] = []
        while missing > 0 {
            // A segment has four bytes of its own, and none is left over that could hold no other one.
            let size = missing > 65_537 ? min(65_537, missing - 4) : missing
            comments += [0xFF, 0xFE, UInt8((size - 2) >> 8), UInt8((size - 2) & 0xFF)]
            comments += Array(repeating: 0x20, count: size - 4)
            missing -= size
        }
        bytes.insert(contentsOf: comments, at: 2)
        return bytes
    }
}

extension ServerWorld {
    /// A reply whose body is no text.
    struct File {
        var status: Int
        var headers: HTTPFields
        var bytes: [UInt8]

        var json: JSON { (try? JSONParser.parse(bytes)) ?? .null }
        var code: String? { json["error"]?["code"]?.string }
    }

    func fetch(
        _ path: String,
        as token: String? = nil,
        method: HTTPRequest.Method = .get,
        headers extra: [String: String] = [:],
        body: [UInt8]? = nil
    ) async throws -> File {
        var headers = HTTPFields()
        if let token { headers[.authorization] = "Bearer \(token)" }
        for (name, value) in extra { headers[try #require(HTTPField.Name(name))] = value }
        let response = try await client.execute(
            uri: path,
            method: method,
            headers: headers,
            body: body.map { ByteBuffer(bytes: $0) }
        )
        return File(
            status: response.status.code,
            headers: response.headers,
            bytes: Array(response.body.readableBytesView)
        )
    }

    /// A dealer, a site of its own without a partner, a camera, and an app that may do everything with snapshots.
    struct Camera {
        var dealer: String
        var site: String
        var device: String
        var key: String
    }

    func camera(_ name: String = "Acme") async throws -> Camera {
        let dealer = try await dealer(name)
        let site = try await site("\(name) shop", dealer: dealer).string("site_id")
        let device = Fixture(
            id: services.randomness.id(DeviceNoun.self, at: clock.now).text,
            siteID: SiteID(stored: site),
            kind: .device,
            number: nil,
            name: "Hall camera",
            settings: ["type": "camera"]
        )
        try await ledger.write { try $0.insert(device) }
        await services.sites.reconfigured()
        let (_, key) = try await app(of: dealer, [.snapshotsRead, .snapshotsWrite, .eventsRead])
        return Camera(dealer: dealer, site: site, device: device.id, key: key)
    }

    func upload(
        _ bytes: [UInt8],
        as type: String = "image/jpeg",
        to camera: Camera,
        query: String = "",
        token: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> Answer {
        try await send(
            .post,
            "/v1/devices/\(camera.device)/snapshots\(query)",
            as: token ?? camera.key,
            bytes: bytes,
            headers: headers.merging(["Content-Type": type]) { old, _ in old }
        )
    }

    /// Every file below the data directory, by its path there.
    func files() throws -> [String] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: dataDirectory)
        return names.filter { name in
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: "\(dataDirectory)/\(name)", isDirectory: &isDirectory)
            return !isDirectory.boolValue
        }.sorted()
    }

    /// The path of an address of ours, as a client asks for it.
    func path(of url: String) throws -> String {
        #expect(url.hasPrefix(Self.publicURL + "/media/snap_"))
        return String(url.dropFirst(Self.publicURL.count))
    }
}
