import NIOCore
import Testing

@testable import TocsinDelivery

@Suite
struct RequestEncoderTests {
    @Test
    func `head and body are one run of bytes`() throws {
        let request = try WebhookRequest.sample(
            "https://hooks.example.com/in?a=1",
            headers: [("webhook-id", "evt_1"), ("X-CHeKT-Event-Type", "test.ping")],
            body: "{}"
        )

        #expect(
            String(buffer: try RequestEncoder.encode(request)) == """
                POST /in?a=1 HTTP/1.1\r
                Host: hooks.example.com\r
                User-Agent: Tocsin/1\r
                Content-Type: application/json\r
                Content-Length: 2\r
                webhook-id: evt_1\r
                X-CHeKT-Event-Type: test.ping\r
                \r
                {}
                """
        )
    }

    @Test(arguments: [
        ("x-a", "b\r\nX-Evil: 1"), ("x-a", "b\n"), ("x-a", "\rb"), ("x-a", "b\0"), ("x-a", "\u{7F}"), ("x a", "b"),
        ("x-a:", "b"), ("x-a\r\n", "b"), ("", "b"), ("x-ä", "b"), ("Host", "evil"), ("CONTENT-LENGTH", "0"),
        ("transfer-encoding", "chunked"), ("Connection", "close"), ("Expect", "100-continue"), ("user-agent", "x"),
    ])
    func `a header that could change the request is refused`(name: String, value: String) throws {
        let request = try WebhookRequest.sample("https://hooks.example.com/in", headers: [(name, value)])

        #expect(RequestEncoder.fault(name: name, value: value) != nil)
        #expect(throws: WebhookFailure.self) { try RequestEncoder.encode(request) }
    }

    @Test(arguments: [("Authorization", "Bearer a.b"), ("x-tab", "a\tb"), ("X-Name", "Müller"), ("te2", "x")])
    func `an ordinary header is taken`(name: String, value: String) {
        #expect(RequestEncoder.fault(name: name, value: value) == nil)
    }
}
