import NIOCore
import Testing

@testable import TocsinDelivery

/// Response (`~` stands for CR LF), what then happens to the connection, and what comes of it.
///
/// `end` closes it after the bytes, `open` leaves it. The last cell is `status body`, with `+` when the connection can
/// be used again, or a failure's code, or `more` when the parser waits.
private let responses = table(
    """
    HTTP/1.1 200 OK~Content-Length: 2~~ok                                      | open | 200 ok +
    HTTP/1.1 200~Content-Length: 0~~                                           | open | 200  +
    HTTP/1.0 200 OK~Content-Length: 2~~ok                                      | open | 200 ok
    HTTP/1.0 200 OK~Connection: keep-alive~Content-Length: 2~~ok               | open | 200 ok +
    HTTP/1.1 200 OK~Connection: x, Close~Content-Length: 2~~ok                 | open | 200 ok
    HTTP/1.1 204 No Content~~                                                  | open | 204  +
    HTTP/1.1 304 Not Modified~Content-Length: 99~~                             | open | 304  +
    HTTP/1.1 200 OK~~all of it                                                 | end  | 200 all of it
    HTTP/1.1 200 OK~~all of it                                                 | open | more
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~~2~ok~0~~                       | open | 200 ok +
    HTTP/1.1 200 OK~TRANSFER-ENCODING: gzip, Chunked~~2;x=y~ok~1~!~0~T: x~~    | open | 200 ok! +
    HTTP/1.1 200 OK~Transfer-Encoding: gzip~~zzz                               | end  | 200 zzz
    HTTP/1.1 200 OK~content-length: 2~~okHTTP/1.1 500 Surprise~~               | open | 200 ok
    HTTP/1.1 200 OK~Content-Length: 2, 2~Content-Length:2~~ok                  | open | 200 ok +
    HTTP/1.1 100 Continue~~HTTP/1.1 103 Early~A: b~~HTTP/1.1 200 OK~Content-Length: 0~~ | open | 200  +
    HTTP/1.1 500 Oh no~Content-Length: 2~~no                                   | open | 500 no +
    HTTP/1.1 302 Found~Location: http://127.0.0.1/~Content-Length: 0~~         | open | 302  +
    HTTP/1.1 200 OK~Content-Length: 3~~ok                                      | open | more
    HTTP/1.1 200 OK~Content-Length: 3~~ok                                      | end  | closed_early
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~~2~ok~                          | end  | closed_early
    HTTP/1.1 200 OK~Content-Len                                                | end  | closed_early
    HTTP/1.1 100 Continue~~                                                    | end  | closed_early
    HTTP/1.1 101 Switching Protocols~~                                         | open | bad_response
    HTTP/1.1 200 OK~Content-Length: 2~Content-Length: 3~~ok                    | open | bad_response
    HTTP/1.1 200 OK~Content-Length: -2~~                                       | open | bad_response
    HTTP/1.1 200 OK~Content-Length: +2~~                                       | open | bad_response
    HTTP/1.1 200 OK~Content-Length: 99999999999999999999~~                     | open | bad_response
    HTTP/1.1 200 OK~Content-Length:~~                                          | open | bad_response
    HTTP/1.1 200 OK~Content-Length: 2~Transfer-Encoding: chunked~~             | open | bad_response
    HTTP/1.0 200 OK~Transfer-Encoding: chunked~~                               | open | bad_response
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~Transfer-Encoding: chunked~~    | open | bad_response
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~~x~                             | open | bad_response
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~~-1~                            | open | bad_response
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~~ffffffffffffffff~              | open | bad_response
    HTTP/1.1 200 OK~Transfer-Encoding: chunked~~2~okay~                        | open | bad_response
    HTTP/1.1 200 OK~ folded: x~~                                               | open | bad_response
    HTTP/1.1 200 OK~A : x~~                                                    | open | bad_response
    HTTP/1.1 200 OK~no colon~~                                                 | open | bad_response
    HTTP/1.1 200 OK~: no name~~                                                | open | bad_response
    HTTP/2 200~~                                                               | open | bad_response
    HTTP/1.1 99 Low~~                                                          | open | bad_response
    HTTP/1.1 2000 High~~                                                       | open | bad_response
    HTTP/1.1 600 High~~                                                        | open | bad_response
    HTTP/1.1  200 OK~~                                                         | open | bad_response
    SSH-2.0-OpenSSH_9.2~                                                       | open | bad_response
    ~~                                                                         | open | bad_response
    """
)

@Suite
struct ResponseParserTests {
    @Test(arguments: responses)
    func `the table of responses holds, whole and byte by byte`(row: [String]) throws {
        try #require(row.count == 3)
        let bytes = row[0].split(separator: "~", omittingEmptySubsequences: false).joined(separator: "\r\n")

        #expect(read([bytes], thenEnd: row[1] == "end") == row[2])
        #expect(readByteByByte(bytes, thenEnd: row[1] == "end") == row[2])
    }

    private func read(_ pieces: [String], thenEnd: Bool) -> String {
        var parser = ResponseParser()
        var step = ResponseParser.Step.needsMore
        for piece in pieces where step == .needsMore {
            step = parser.feed(ByteBuffer(string: piece))
        }
        if thenEnd, step == .needsMore { step = parser.end() }
        switch step {
        case .needsMore: return "more"
        case .complete(let reusable):
            let body = String(decoding: parser.body, as: UTF8.self)
            return "\(parser.head?.status ?? 0) \(body)\(reusable ? " +" : "")".trimmingEnd()
        case .failed(let failure): return failure.code.rawValue
        }
    }

    /// The response after a complete one is not in sight yet when its bytes come singly, so reuse says `+` there.
    private func readByteByByte(_ text: String, thenEnd: Bool) -> String {
        let result = read(text.unicodeScalars.map { String($0) }, thenEnd: thenEnd)
        return text.contains("Surprise") && result.hasSuffix(" +") ? String(result.dropLast(2)) : result
    }

    @Test(arguments: ["\0", "\r", "\u{1}", "\u{7F}"])
    func `a control character in a header value is refused`(character: String) {
        #expect(read(["HTTP/1.1 200 OK\r\nA: b\(character)c\r\n\r\n"], thenEnd: false) == "bad_response")
    }

    @Test
    func `bare line feeds end lines too`() {
        #expect(read(["HTTP/1.1 200 OK\nContent-Length: 2\n\nok"], thenEnd: false) == "200 ok +")
    }

    @Test
    func `sixteen informational responses are skipped and one more is refused`() {
        let informational = String(repeating: "HTTP/1.1 102 Wait\r\n\r\n", count: ResponseParser.informationalMax)
        let final = "HTTP/1.1 204 Done\r\n\r\n"

        #expect(read([informational + final], thenEnd: false) == "204  +")
        #expect(read([informational + "HTTP/1.1 102 Wait\r\n\r\n" + final], thenEnd: false) == "bad_response")
    }

    @Test
    func `headers may have 32 KiB together and no more`() {
        let start = "HTTP/1.1 204 Done\r\nA: "
        let end = "\r\n\r\n"
        let fill = String(repeating: "a", count: ResponseParser.headBytesMax - start.utf8.count - end.utf8.count)

        #expect(read([start + fill + end], thenEnd: false) == "204  +")
        #expect(read([start + fill + "a" + end], thenEnd: false) == "headers_too_large")
        #expect(read([start + fill + "aaaaa"], thenEnd: false) == "headers_too_large")
    }

    @Test
    func `trailers count as headers`() {
        let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        let trailers = String(repeating: "T: \(String(repeating: "x", count: 1000))\r\n", count: 40)

        #expect(read([start, trailers], thenEnd: false) == "headers_too_large")
    }

    @Test
    func `a body is read up to 64 KiB and kept up to 4 KiB`() {
        var parser = ResponseParser()
        var step = parser.feed(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
        for _ in 0..<63 {
            step = parser.feed(ByteBuffer(repeating: 0x61, count: 1024))
        }
        #expect(step == .needsMore)

        step = parser.feed(ByteBuffer(repeating: 0x61, count: 1024))
        #expect(step == .complete(reusable: false))
        #expect(parser.head?.status == 200)
        #expect(parser.body == Array(repeating: 0x61, count: ResponseParser.bodyKeptMax))
    }

    @Test
    func `a body of exactly 64 KiB leaves the connection usable`() {
        var parser = ResponseParser()
        _ = parser.feed(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n"))

        #expect(parser.feed(ByteBuffer(repeating: 0x61, count: 65536)) == .complete(reusable: true))
    }

    @Test
    func `chunk lines count against the read limit`() {
        var parser = ResponseParser()
        _ = parser.feed(ByteBuffer(string: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
        let chunk = "1;\(String(repeating: "x", count: 1000))\r\na\r\n"

        let fed = (1...100).first { _ in parser.feed(ByteBuffer(string: chunk)) != .needsMore }
        #expect(fed == 66)
        #expect(parser.body.count == 66 || parser.body.count == 65)
    }
}

extension String {
    /// Table cells carry no blanks at their end.
    fileprivate func trimmingEnd() -> String {
        var text = self
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }
}
