import NIOCore
import Testing

@testable import TocsinLab

struct RequestScannerTests {
    private static let request =
        "POST /hook/17 HTTP/1.1\r\nHost: a\r\nX-CHeKT-Event-Id: evt_1\r\nContent-Length: 4\r\n\r\nbody"

    private func scan(_ text: String) -> ScanOutcome { Array(text.utf8).withUnsafeBytes(RequestScanner.scan) }

    @Test func `a whole request is found with its endpoint, event and extent`() throws {
        guard case .request(let request) = scan(Self.request + "POST /next") else {
            Issue.record("not recognised")
            return
        }
        #expect(request.endpoint == 17)
        #expect(request.length == Self.request.utf8.count)
        #expect(request.bodyLength == 4)
        let id = try #require(request.eventID)
        #expect(String(decoding: Array(Self.request.utf8)[id], as: UTF8.self) == "evt_1")
    }

    @Test func `every beginning of a request asks for more`() {
        for count in 0..<Self.request.utf8.count {
            // By bytes: a line end is one character.
            let beginning = String(decoding: Self.request.utf8.prefix(count), as: UTF8.self)
            guard case .needsMore = scan(beginning) else {
                Issue.record("\(count) bytes were taken for a request")
                continue
            }
        }
    }

    @Test func `a chunked body or a length that is no number is malformed`() {
        for header in ["Transfer-Encoding: chunked", "Content-Length: 4x", "Content-Length: "] {
            guard case .malformed = scan("POST / HTTP/1.1\r\n\(header)\r\n\r\n") else {
                Issue.record("\(header) was taken")
                continue
            }
        }
    }
}

struct ReplyScannerTests {
    private func scan(_ text: String) -> ReplyScan { Array(text.utf8).withUnsafeBytes(ReplyScanner.scan) }

    @Test func `a reply has a status and an extent`() {
        guard case .reply(let reply) = scan("HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1") else {
            Issue.record("not recognised")
            return
        }
        #expect(reply.status == 409)
        #expect(reply.bodyLength == 2)
    }

    @Test func `a reply without a length is malformed`() {
        guard case .malformed = scan("HTTP/1.1 200 OK\r\n\r\n") else {
            Issue.record("it was taken")
            return
        }
    }

    @Test(arguments: [
        (#"{"event_ids":[]}"#, []), (#"{"event_ids":["evt_1"]}"#, ["evt_1"]),
        (#"{"site_id":"s","event_ids":["evt_1","evt_2"]}"#, ["evt_1", "evt_2"]), (#"{"error":{}}"#, []),
        (#"{"event_ids":["evt_1"#, []),
    ])
    func `the events of a reply are found`(body: String, events: [String]) {
        var found: [EventKey] = []
        Array(body.utf8).withUnsafeBytes { ReplyScanner.eventIDs(in: $0) { found.append($0) } }
        #expect(found == events.map { EventKey($0) })
    }
}

struct SignatureCheckTests {
    private static let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    // Computed with another implementation (Python's hmac) over the documented contents.
    private static let head =
        "POST / HTTP/1.1\r\nwebhook-id: evt_1\r\nwebhook-timestamp: 1768473000\r\nX-CHeKT-Timestamp: 1768473000\r\n"
        + "webhook-signature: v1,/D61OJxxU9uf3kDAWH8W1G4/lL8pKzP8r6teYK5d2+E=\r\nX-CHeKT-Signature: v1=4cc5de283a8f9b534da4f0b12e09331b98544c8a868492f68e985d64cc3331c2\r\n\r\n"

    private func problem(_ head: String, body: String) throws -> String? {
        let check = try SignatureCheck(secret: Self.secret)
        return Array(head.utf8).withUnsafeBytes { check.problem(head: $0, body: Array(body.utf8)) }
    }

    @Test func `right signatures pass and a changed body does not`() throws {
        #expect(try problem(Self.head, body: "{}") == nil)
        #expect(try problem(Self.head, body: "{ }") == "webhook-signature does not match")
        let forged = Self.head.replacing("v1=", with: "v1=0")
        #expect(try problem(forged, body: "{}") == "X-CHeKT-Signature does not match")
        let bare = Self.head.replacing("webhook-id", with: "webhook-no")
        #expect(try problem(bare, body: "{}") == "a Standard Webhooks header is missing")
    }
}
