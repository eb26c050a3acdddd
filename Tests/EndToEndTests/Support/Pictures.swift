import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing
import TocsinJSON

/// Files of real encoders, and ever new ones.
enum Pictures {
    static func sample(_ name: String) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return Array(try Data(contentsOf: tests.appendingPathComponent("Samples/\(name)")))
    }

    /// A sound JPEG file that no other is equal to.
    static func jpeg(numbered number: Int) throws -> [UInt8] {
        let comment = Array("picture \(number)".utf8)
        var bytes = try sample("door.jpg")
        bytes.insert(contentsOf: [0xFF, 0xFE, 0, UInt8(comment.count + 2)] + comment, at: 2)
        return bytes
    }

    /// A site with a camera, and an app that may do everything with its snapshots.
    static func fleet(hooks: [String] = []) -> JSON {
        let endpoints = hooks.map { url -> JSON in ["url": .string(url), "events": ["snapshot.created"]] }
        var site = Fleet.site(named: Fleet.site).object ?? [:]
        site["devices"] = [["name": "Hall camera", "type": "camera"]]
        let app: JSON = [
            "name": .string(Fleet.app), "scopes": ["events:read", "sites:read", "snapshots:read", "snapshots:write"],
            "endpoints": .array(endpoints),
        ]
        return [
            "dealers": [["name": .string(Fleet.dealer), "apps": [app]]],
            "partners": [Fleet.partner(named: Fleet.partner)], "sites": [.object(site)],
        ]
    }
}

/// The hall's camera on one server.
struct Camera: Sendable {
    var api: API
    var device: String

    var path: String { "/v1/devices/\(device)/snapshots" }

    func upload(_ bytes: [UInt8], as type: String = "image/jpeg", inChunksOf size: Int? = nil) async throws -> Reply {
        let body: HTTPClientRequest.Body
        if let size {
            let parts = stride(from: 0, to: bytes.count, by: size).map { start in
                ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)])
            }
            let stream = AsyncStream { continuation in
                for part in parts { continuation.yield(part) }
                continuation.finish()
            }
            body = .stream(stream, length: .unknown)
        } else {
            body = .bytes(ByteBuffer(bytes: bytes))
        }
        return try await api.send(.POST, path, headers: [("Content-Type", type)], body: body)
    }

    /// Sends exactly these bytes over a connection, ends it, and waits until the server has ended it too.
    func sendRaw(_ head: [String], _ body: [UInt8]) async throws {
        let address = try #require(URLComponents(string: api.base))
        let ended = Watched(false)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: try #require(address.host), port: try #require(address.port)).get()
        channel.closeFuture.whenComplete { _ in ended.update { $0 = true } }
        let lines = ["POST \(path) HTTP/1.1", "Host: test", "Authorization: Bearer \(api.token ?? "")"] + head
        let text = lines.joined(separator: "\r\n") + "\r\n\r\n"
        try await channel.writeAndFlush(ByteBuffer(bytes: Array(text.utf8) + body))
        try await channel.close()
        _ = try await ended.wait(for: "the end of the connection") { $0 ? true : nil }
    }
}

extension Installation {
    func camera(_ server: Server) throws -> Camera {
        let device = try #require(try site(Fleet.site)["devices"]?.array?.first?["device_id"]?.string)
        return Camera(api: server.api(try apiKey()), device: device)
    }

    /// The files of snapshots, by their paths in the data directory.
    func snapshotFiles() -> [String] {
        let root = data.appendingPathComponent("snapshots").path
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: root)) ?? []
        // A dealer, a directory, a file.
        return names.filter { $0.split(separator: "/").count == 3 }.sorted()
    }
}
