import NIOCore
import NIOSSL

@testable import TocsinDelivery

/// One way in which a receiver misbehaves, and how an attempt at it must end.
struct HostileBehaviour: Sendable {
    /// What its port is like.
    enum Door: Sendable {
        case plain
        /// Speaks TLS and has this certificate.
        case tls(Certificate)
        /// The script's bytes are those of a TLS server.
        case rawTLS
        /// Accepts after a while.
        case slow
        /// The kernel completes connections, and nobody takes them.
        case neverAccepts
        /// The kernel has no room for another connection, and drops what knocks.
        case full
        /// Nobody listens.
        case closed
    }

    enum Certificate: Sendable {
        case good
        case untrusted
        case expired
        case notYetValid
        case otherHost
        case demandsClient
        case oldTLS
    }

    let name: String
    let door: Door
    let script: [ReceiverStep]
    /// The status that is known, if any, and the failure's code, if it is one.
    let ends: String
    /// So many bytes in the request's body, where they matter.
    let requestBytes: Int

    init(
        _ name: String,
        _ script: [ReceiverStep] = [],
        _ ends: String,
        door: Door = .plain,
        requestBytes: Int = 24
    ) {
        self.name = name
        self.door = door
        self.script = script
        self.ends = ends
        self.requestBytes = requestBytes
    }
}

private let tick = TimeAmount.milliseconds(100)
private let head = "HTTP/1.1 200 OK\r\n"

/// Answers whole requests with these bytes.
private func answer(_ text: String) -> [ReceiverStep] { [.request, .send(text)] }

extension HostileBehaviour {
    static let all = timing + heads + framing + bodies + connections + handshakes

    /// Whether only the deadline ends it.
    var lasts: Bool { ends.hasSuffix("timeout") }

    /// Slow and silent ones: the deadline ends them.
    static let timing: [HostileBehaviour] = [
        .init(
            "a head, a byte at a time",
            [.request, .drip(head + "A: slowly, and more slowly\r\n", every: tick)],
            "timeout"
        ),
        .init(
            "a body, a byte at a time",
            answer(head + "Content-Length: 99\r\n\r\n") + [.drip("slowly, slowly", every: tick)],
            "200 timeout"
        ),
        .init(
            "chunks, a byte at a time",
            answer(head + "Transfer-Encoding: chunked\r\n\r\n") + [.drip("3\r\nabc\r\n3\r\n", every: tick)],
            "200 timeout"
        ),
        .init("accepts and is silent", [], "timeout"),
        .init("takes the request and is silent", [.request], "timeout"),
        .init("stops within the status line", answer("HTTP/1.1 2"), "timeout"),
        .init("stops within a header", answer(head + "Content-Le"), "timeout"),
        .init("stops within the body", answer(head + "Content-Length: 9\r\n\r\npart"), "200 timeout"),
        .init(
            "stops before the last chunk",
            answer(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            "200 timeout"
        ),
        .init(
            "stops within the trailers",
            answer(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: "),
            "200 timeout"
        ),
        .init("100 Continue and then nothing", answer("HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
        .init("never reads", [.stopReading], "timeout", requestBytes: 24 * 1024 * 1024),
        .init("reads a little and then no more", [.bytes, .stopReading], "timeout", requestBytes: 24 * 1024 * 1024),
        .init("close-delimited, and never closed", answer(head + "\r\nall of it"), "200 timeout"),
        .init("is slow to accept", answer(head + "Content-Length: 0\r\n\r\n"), "200", door: .slow),
        .init("never accepts", [], "timeout", door: .neverAccepts),
        .init("drops what knocks", [], "timeout", door: .full),
        .init("refuses", [], "connect", door: .closed),
    ]

    static let heads: [HostileBehaviour] = [
        .init("endless informational answers", [.request, .endless("HTTP/1.1 103 Hints\r\n\r\n")], "bad_response"),
        .init(
            "100 Continue that nobody asked for",
            answer("HTTP/1.1 100 Go\r\n\r\n\(head)Content-Length: 0\r\n\r\n"),
            "200"
        ),
        .init("switches protocols", answer("HTTP/1.1 101 Switch\r\nUpgrade: h2c\r\n\r\n"), "bad_response"),
        .init(
            "one endless header",
            [.request, .send(head + "A: "), .endless("aaaaaaaaaaaaaaaa")],
            "headers_too_large"
        ),
        .init("endless headers", [.request, .send(head), .endless("A: b\r\n")], "headers_too_large"),
        .init(
            "an endless status line",
            [.request, .send("HTTP/1.1 200 "), .endless("OK OK OK ")],
            "headers_too_large"
        ),
        .init(
            "10,000 empty headers",
            answer(head + String(repeating: "A:\r\n", count: 10_000) + "\r\n"),
            "headers_too_large"
        ),
        .init("bare line feeds", answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), "200"),
        .init("bare carriage returns", answer("HTTP/1.1 200 OK\rContent-Length: 0\r\r"), "timeout"),
        .init("a folded header", answer(head + "A: b\r\n folded\r\nContent-Length: 0\r\n\r\n"), "bad_response"),
        .init("a blank before the colon", answer(head + "Content-Length : 0\r\n\r\n"), "bad_response"),
        .init("a header without a colon", answer(head + "nonsense\r\n\r\n"), "bad_response"),
        .init("no reason phrase", answer("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "200"),
        .init("status 000", answer("HTTP/1.1 000 Nil\r\n\r\n"), "bad_response"),
        .init("status 999", answer("HTTP/1.1 999 Full\r\n\r\n"), "bad_response"),
        .init("status -1", answer("HTTP/1.1 -01 Odd\r\n\r\n"), "bad_response"),
        .init("HTTP/0.9", answer("<html>it works</html>\n"), "bad_response"),
        .init("HTTP/2.0", answer("HTTP/2.0 200 OK\r\n\r\n"), "bad_response"),
        .init("HTTP/1.9", answer("HTTP/1.9 200 OK\r\n\r\n"), "bad_response"),
        .init("the preface of HTTP/2", answer("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "bad_response"),
        .init("frames of HTTP/2", [.request, .sendBytes([0, 0, 0, 4, 0, 0, 0, 0, 0, 10])], "bad_response"),
        .init("NUL in a header", answer(head + "A: b\0c\r\n\r\n"), "bad_response"),
        .init("NULs without end", [.request, .endless("\0\0\0\0")], "headers_too_large"),
        .init(
            "UTF-16",
            [.request, .sendBytes(Array("HTTP/1.1 200 OK\n\n".utf8).flatMap { [0, $0] })],
            "bad_response"
        ),
        .init("a byte order mark", answer("\u{FEFF}" + head + "Content-Length: 0\r\n\r\n"), "bad_response"),
        .init(
            "a redirect",
            answer("HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
            "302"
        ),
        .init(
            "a redirect without end of its address",
            [.request, .send("HTTP/1.1 302 Go\r\nLocation: "), .endless("/../..")],
            "headers_too_large"
        ),
        .init(
            "401 with a challenge",
            answer("HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"),
            "401"
        ),
        .init("407", answer("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"), "407"),
        .init(
            "a Retry-After of nonsense",
            answer("HTTP/1.1 503 No\r\nRetry-After: -99999999999999999999\r\nContent-Length: 0\r\n\r\n"),
            "503"
        ),
    ]

    static let framing: [HostileBehaviour] = [
        .init("a negative length", answer(head + "Content-Length: -1\r\n\r\n"), "bad_response"),
        .init(
            "a length beyond all numbers",
            answer(head + "Content-Length: 99999999999999999999\r\n\r\n"),
            "bad_response"
        ),
        .init("a length in hex", answer(head + "Content-Length: 0x10\r\n\r\n"), "bad_response"),
        .init("the same length twice", answer(head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"), "200"),
        .init("two lengths", answer(head + "Content-Length: 2\r\nContent-Length: 9\r\n\r\nok"), "bad_response"),
        .init("two lengths in a list", answer(head + "Content-Length: 2, 9\r\n\r\nok"), "bad_response"),
        .init(
            "length and chunks",
            answer(head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "200 bad_response"
        ),
        .init("chunked twice", answer(head + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), "bad_response"),
        .init("chunked, then more", answer(head + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"), "200 timeout"),
        .init(
            "chunk extensions",
            answer(head + "Transfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0\r\n\r\n"),
            "200"
        ),
        .init(
            "an endless chunk extension",
            [.request, .send(head + "Transfer-Encoding: chunked\r\n\r\n2;"), .endless("a=b;")],
            "200 bad_response"
        ),
        .init(
            "endless chunks",
            [.request, .send(head + "Transfer-Encoding: chunked\r\n\r\n"), .endless("1\r\na\r\n")],
            "200"
        ),
        .init(
            "a chunk size that is none",
            answer(head + "Transfer-Encoding: chunked\r\n\r\nno\r\n"),
            "200 bad_response"
        ),
        .init(
            "a chunk size beyond all numbers",
            answer(head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            "200 bad_response"
        ),
        .init(
            "a negative chunk size",
            answer(head + "Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n"),
            "200 bad_response"
        ),
        .init(
            "a chunk longer than it says",
            answer(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n"),
            "200 bad_response"
        ),
        .init("trailers", answer(head + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\n\r\n"), "200"),
        .init(
            "endless trailers",
            [.request, .send(head + "Transfer-Encoding: chunked\r\n\r\n0\r\n"), .endless("A: b\r\n")],
            "200 headers_too_large"
        ),
        .init("204 with a body", answer("HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\nbody"), "204"),
        .init("204 with endless bytes", [.request, .send("HTTP/1.1 204 None\r\n\r\n"), .endless("x")], "204"),
        .init("304 with a body", answer("HTTP/1.1 304 Same\r\nContent-Length: 4\r\n\r\nbody"), "304"),
    ]

    static let bodies: [HostileBehaviour] = [
        .init(
            "a bomb of gzip",
            [.request, .send(head + "Content-Encoding: gzip\r\nContent-Length: 1073741824\r\n\r\n")] + [
                .endless("\u{1F}\0")
            ],
            "200"
        ),
        .init("a body that never ends", [.request, .send(head + "\r\n"), .endless("never ")], "200"),
        .init(
            "a body of 1 TB",
            [.request, .send(head + "Content-Length: 999999999999\r\n\r\n"), .endless("x")],
            "200"
        ),
        .init(
            "an error that never ends",
            [.request, .send("HTTP/1.1 500 No\r\n\r\n"), .endless("stack trace ")],
            "500"
        ),
        .init("a body shorter than told", answer(head + "Content-Length: 9\r\n\r\nok") + [.close], "200 closed_early"),
    ]

    static let connections: [HostileBehaviour] = [
        .init("resets at once", [.reset], "connect reset closed_early"),
        .init("resets instead of an answer", [.request, .reset], "reset"),
        .init("resets within the head", answer("HTTP/1.1 2") + [.wait(.milliseconds(20)), .reset], "reset"),
        .init(
            "resets within the body",
            answer(head + "Content-Length: 9\r\n\r\npart") + [.wait(.milliseconds(20)), .reset],
            "200 reset"
        ),
        .init("closes at once", [.close], "connect closed_early reset"),
        .init("closes instead of an answer", [.request, .close], "closed_early"),
        .init("closes its half instead of an answer", [.request, .halfClose], "closed_early"),
        .init("closes its half within the head", answer("HTTP/1.1 2") + [.halfClose], "closed_early"),
        .init("answers before it is asked", [.send(head + "Content-Length: 0\r\n\r\n")], "200 bad_response"),
        .init("speaks first, and not HTTP", [.send("220 mail.test ESMTP\r\n")], "bad_response"),
        .init(
            "answers twice",
            answer(head + "Content-Length: 0\r\n\r\nHTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n"),
            "200"
        ),
        .init(
            "promises to keep the connection, and closes it",
            answer(head + "Content-Length: 0\r\n\r\n") + [.close],
            "200"
        ),
    ]

    static let handshakes: [HostileBehaviour] = [
        .init("silent instead of a handshake", [.bytes], "timeout", door: .rawTLS),
        .init("stops within a record", [.bytes, .sendBytes([0x16, 3, 3, 0, 122, 2, 0])], "timeout", door: .rawTLS),
        .init(
            "a handshake, a byte at a time",
            [.bytes, .drip("\u{16}\u{3}\u{3}\0\u{7A}\u{2}", every: tick)],
            "timeout",
            door: .rawTLS
        ),
        .init(
            "an alert instead of a handshake",
            [.bytes, .sendBytes([0x15, 3, 3, 0, 2, 2, 40])],
            "tls",
            door: .rawTLS
        ),
        .init("endless warnings", [.bytes, .endless("\u{15}\u{3}\u{3}\0\u{2}\u{1}\u{5A}")], "tls", door: .rawTLS),
        .init("endless empty records", [.bytes, .endless("\u{16}\u{3}\u{3}\0\0")], "tls", door: .rawTLS),
        .init("plain HTTP where TLS is expected", [.bytes, .send("HTTP/1.1 400 No\r\n\r\n")], "tls", door: .rawTLS),
        .init("closes within the handshake", [.bytes, .close], "tls", door: .rawTLS),
        .init("resets within the handshake", [.bytes, .reset], "tls", door: .rawTLS),
        .init("an untrusted certificate", answer(head + "\r\n"), "tls", door: .tls(.untrusted)),
        .init("an expired certificate", answer(head + "\r\n"), "tls", door: .tls(.expired)),
        .init("a certificate of tomorrow", answer(head + "\r\n"), "tls", door: .tls(.notYetValid)),
        .init("another host's certificate", answer(head + "\r\n"), "tls", door: .tls(.otherHost)),
        .init("demands a certificate that there is none of", answer(head + "\r\n"), "tls", door: .tls(.demandsClient)),
        .init("TLS 1.1", answer(head + "\r\n"), "tls", door: .tls(.oldTLS)),
        .init("silent after the handshake", [.request], "timeout", door: .tls(.good)),
        .init(
            "a body within TLS, a byte at a time",
            answer(head + "\r\n") + [.drip("slowly", every: tick)],
            "200 timeout",
            door: .tls(.good)
        ),
        .init("resets within TLS", [.request, .reset], "closed_early reset", door: .tls(.good)),
        .init(
            "an endless body within TLS",
            [.request, .send(head + "\r\n"), .endless("never ")],
            "200",
            door: .tls(.good)
        ),
        .init(
            "never reads what TLS writes",
            [.bytes, .stopReading],
            "timeout",
            door: .tls(.good),
            requestBytes: 24 * 1024 * 1024
        ),
    ]
}
