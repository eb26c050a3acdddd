import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TocsinJSON

/// A reply, read whole.
struct Reply: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var bytes: [UInt8]

    var text: String { String(decoding: bytes, as: UTF8.self) }
    /// The body, or null where it is not JSON.
    var json: JSON { (try? JSONParser.parse(bytes)) ?? .null }
    var errorCode: String? { json["error"]?["code"]?.string }
    var errorField: String? { json["error"]?["field"]?.string }
}

/// An unexpected reply, with what is needed to understand it.
struct UnexpectedReply: Error, CustomStringConvertible {
    var request: String
    var reply: Reply
    var description: String { "\(request) answered \(reply.status): \(reply.text)" }
}

/// A caller of one server with one credential.
struct API: Sendable {
    var base: String
    var token: String?

    // Lives as long as the process, as AsyncHTTPClient's own shared client does. Establishment is not retried, so that a
    // killed server is noticed at once.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
        configuration.httpVersion = .http1Only
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    func with(token: String?) -> API { API(base: base, token: token) }

    /// Sends one request and reads the whole reply.
    func send(
        _ method: HTTPMethod,
        _ path: String,
        headers: [(String, String)] = [],
        body: HTTPClientRequest.Body? = nil
    ) async throws -> Reply {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        if let body {
            request.body = body
            if !request.headers.contains(name: "Content-Type") {
                request.headers.add(name: "Content-Type", value: "application/json")
            }
        }
        let response = try await Self.client.execute(request, timeout: .seconds(30))
        let collected = try await response.body.collect(upTo: 64 << 20)
        return Reply(
            status: Int(response.status.code),
            headers: response.headers,
            bytes: Array(collected.readableBytesView)
        )
    }

    func get(_ path: String) async throws -> Reply { try await send(.GET, path) }

    func post(_ path: String, _ body: JSON, headers: [(String, String)] = []) async throws -> Reply {
        try await send(.POST, path, headers: headers, body: .bytes(ByteBuffer(bytes: body.bytes)))
    }

    func post(_ path: String, text: String, headers: [(String, String)] = []) async throws -> Reply {
        try await send(.POST, path, headers: headers, body: .bytes(ByteBuffer(string: text)))
    }

    /// Sends and demands a status; gives the JSON of the reply.
    @discardableResult
    func expect(_ status: Int, _ method: HTTPMethod, _ path: String, _ body: JSON? = nil) async throws -> JSON {
        let reply = try await send(method, path, body: body.map { .bytes(ByteBuffer(bytes: $0.bytes)) })
        guard reply.status == status else { throw UnexpectedReply(request: "\(method) \(path)", reply: reply) }
        return reply.json
    }

    /// A partner's access token by OAuth client credentials.
    func partnerToken(id: String, secret: String) async throws -> String {
        let reply = try await oauth([
            ("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret),
        ])
        guard reply.status == 200, let token = reply.json["access_token"]?.string else {
            throw UnexpectedReply(request: "POST /oauth/token", reply: reply)
        }
        return token
    }

    /// Posts a form to the token endpoint.
    func oauth(_ form: [(String, String)]) async throws -> Reply {
        let text = form.map { "\($0)=\($1.formEncoded)" }.joined(separator: "&")
        return try await with(token: nil)
            .send(
                .POST,
                "/oauth/token",
                headers: [("Content-Type", "application/x-www-form-urlencoded")],
                body: .bytes(ByteBuffer(string: text))
            )
    }
}

/// One server-sent event.
struct Frame: Hashable, Sendable {
    var id = ""
    var event = ""
    var data = ""
}

/// A stream ended, as it should, but before all that was expected.
struct StreamEnded: Error {
    var seen: Int
}

extension API {
    /// Follows a stream until so many events were seen; is told their count after each, while the stream is open.
    func frames(
        _ path: String,
        after: Int,
        count: Int,
        each: (Int) async throws -> Void = { _ in }
    ) async throws -> [Frame] {
        var request = HTTPClientRequest(url: base + path)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        request.headers.add(name: "Last-Event-ID", value: "\(after)")
        let response = try await Self.client.execute(request, timeout: .seconds(30))
        guard response.status == .ok else {
            let bytes = Array(try await response.body.collect(upTo: 1 << 20).readableBytesView)
            let reply = Reply(status: Int(response.status.code), headers: response.headers, bytes: bytes)
            throw UnexpectedReply(request: "GET \(path)", reply: reply)
        }
        var frames: [Frame] = []
        var text = ""
        for try await part in response.body {
            text += String(buffer: part)
            while let end = text.firstRange(of: "\n\n") {
                let frame = Frame(lines: text[..<end.lowerBound])
                text = String(text[end.upperBound...])
                guard let frame else { continue }
                frames.append(frame)
                if frames.count == count { return frames }
                try await each(frames.count)
            }
        }
        throw StreamEnded(seen: frames.count)
    }
}

extension Frame {
    /// The frame that the lines make; none for a comment.
    fileprivate init?(lines: Substring) {
        self.init()
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: ": ", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "id": id = parts[1]
            case "event": event = parts[1]
            case "data": data = parts[1]
            default: continue
            }
        }
        if data.isEmpty { return nil }
    }
}

/// Asks again and again until the answer is yes, where no signal tells; each question is a request, so nothing spins.
func eventually(_ what: String, within limit: Duration = .seconds(20), _ ask: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + limit
    repeat {
        if try await ask() { return }
    } while ContinuousClock.now < end
    throw TimedOut(what: what)
}

extension String {
    /// The form-encoded text of the string: everything but letters, digits and `-._~` as `%XX`.
    fileprivate var formEncoded: String {
        utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                scalar.properties.isASCIIHexDigit || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
            if isPlain || "-._~".unicodeScalars.contains(scalar) { return String(Character(scalar)) }
            let hex = String(byte, radix: 16, uppercase: true)
            return "%" + (hex.count == 1 ? "0" + hex : hex)
        }
        .joined()
    }
}
