import Testing
import TocsinCore
import TocsinEngine

@testable import TocsinDelivery

@Suite("SMTP dialogue") struct SMTPDialogueTests {
    private func dialogue(_ url: String, text: String = "t") throws -> SMTPDialogue {
        SMTPDialogue(server: try MailServer(url), message: try .sample(text: text), clientName: "[192.0.2.1]")
    }

    private func reply(_ code: Int, _ lines: String...) -> SMTPReply { SMTPReply(code: code, lines: lines) }

    private func said(_ action: SMTPDialogue.Action) -> String {
        if case .send(let bytes) = action { String(decoding: bytes, as: UTF8.self) } else { "\(action)" }
    }

    private func error(_ action: SMTPDialogue.Action) -> NotifierError? {
        if case .fail(let error) = action { error } else { nil }
    }

    @Test func `without TLS and password a message takes five steps`() throws {
        var talk = try dialogue("smtp://localhost:25")
        #expect(said(talk.received(reply(220, "mail ESMTP"))) == "EHLO [192.0.2.1]\r\n")
        #expect(said(talk.received(reply(250, "mail", "SIZE 1000"))) == "MAIL FROM:<alarms@example.com>\r\n")
        #expect(said(talk.received(reply(250, "ok"))) == "RCPT TO:<ann@example.test>\r\n")
        #expect(said(talk.received(reply(250, "ok"))) == "DATA\r\n")
        let content = said(talk.received(reply(354, "go on")))
        #expect(content.hasPrefix("Date: "))
        #expect(content.hasSuffix("\r\n.\r\n"))
        #expect(talk.received(reply(250, "queued")) == .finish(Array("QUIT\r\n".utf8)))
    }

    @Test func `STARTTLS comes before the password, and what was said before it does not count`() throws {
        var talk = try dialogue("smtp://tocsin:p%40ss@mail.example.com")
        _ = talk.received(reply(220, "mail"))
        #expect(said(talk.received(reply(250, "mail", "AUTH PLAIN", "starttls"))) == "STARTTLS\r\n")
        #expect(!talk.isStartingTLS)
        #expect(talk.received(reply(220, "go on")) == .startTLS)
        #expect(talk.isStartingTLS)
        #expect(said(talk.secured()) == "EHLO [192.0.2.1]\r\n")
        // "\0tocsin\0p@ss"
        #expect(said(talk.received(reply(250, "mail", "AUTH LOGIN PLAIN"))) == "AUTH PLAIN AHRvY3NpbgBwQHNz\r\n")
        #expect(said(talk.received(reply(235, "welcome"))).hasPrefix("MAIL FROM:"))
    }

    @Test func `with TLS from the start none is asked for`() throws {
        var talk = try dialogue("smtps://a:b@mail.example.com")
        _ = talk.received(reply(220, "mail"))
        #expect(said(talk.received(reply(250, "mail", "STARTTLS", "AUTH=PLAIN"))).hasPrefix("AUTH PLAIN "))
    }

    @Test(arguments: ["smtp://mail.example.com", "smtp://a:b@localhost", "smtp://a:b@mail.example.com?tls=optional"])
    func `where TLS is needed and not offered, nothing is told`(url: String) throws {
        var talk = try dialogue(url)
        _ = talk.received(reply(220, "mail"))
        let refusal = error(talk.received(reply(250, "mail", "AUTH PLAIN")))
        #expect(refusal?.code == .insecure)
        #expect(refusal?.isPermanent == false)
    }

    @Test func `a server that takes no password in our way is told as such`() throws {
        var talk = try dialogue("smtps://a:b@mail.example.com")
        _ = talk.received(reply(220, "mail"))
        #expect(error(talk.received(reply(250, "mail", "AUTH CRAM-MD5")))?.sentence.contains("AUTH PLAIN") == true)
    }

    @Test(arguments: [
        ([554], false), ([220, 502], false), ([220, 250, 550], false), ([220, 250, 250, 450], false),
        ([220, 250, 250, 550], true), ([220, 250, 250, 250, 554], true), ([220, 250, 250, 250, 354, 451], false),
        ([220, 250, 250, 250, 354, 552], true), ([220, 250, 250, 250, 421], false),
    ])
    func `only a no to the person or the message is for good`(codes: [Int], isPermanent: Bool) throws {
        var talk = try dialogue("smtp://localhost")
        var last: SMTPDialogue.Action?
        for code in codes { last = talk.received(reply(code, "word")) }
        let refusal = error(try #require(last))
        #expect(refusal?.code == .refused)
        #expect(refusal?.isPermanent == isPermanent)
        #expect(refusal?.sentence.contains("\(try #require(codes.last)) word") == true)
    }

    @Test func `a dot that begins a line is doubled`() {
        let stuffed = SMTPDialogue.dotStuffed(Array(".\r\n..\r\na.\r\n".utf8))
        #expect(String(decoding: stuffed, as: UTF8.self) == "..\r\n...\r\na.\r\n")
    }

    // MARK: Replies

    private func read(_ pieces: String...) throws -> [SMTPReply] {
        var reader = SMTPReplyReader()
        return try pieces.compactMap { try reader.feed(Array($0.utf8)) }
    }

    @Test func `a reply is put together from lines and pieces`() throws {
        #expect(try read("220 mail ready\r\n") == [reply(220, "mail ready")])
        #expect(
            try read("2", "50-mail\r", "\n250-SIZE 10\r\n2", "50 HELP\r\n") == [reply(250, "mail", "SIZE 10", "HELP")]
        )
        #expect(try read("250\r\n", "354 go\n") == [reply(250, ""), reply(354, "go")])
        #expect(try read("220 a\u{7}b\r\n") == [reply(220, "a b")])
    }

    @Test(arguments: ["hello\r\n", "2x0 a\r\n", "099 a\r\n", "600 a\r\n", "250_a\r\n", "\r\n", "２２０ a\r\n"])
    func `what is no reply is refused`(text: String) {
        let error = #expect(throws: NotifierError.self) { try read(text) }
        #expect(error?.code == .broken)
    }

    @Test func `what follows a reply unasked is refused, so that nothing crosses a TLS handshake`() {
        #expect(throws: NotifierError.self) { try read("220 go on\r\n250 mail\r\n") }
        #expect(throws: NotifierError.self) { try read("220 go on\r\n2") }
    }

    @Test func `a reply without end is given up`() {
        #expect(throws: NotifierError.self) {
            try read(String(repeating: "x", count: SMTPReplyReader.replyBytesMax + 1))
        }
        #expect(throws: NotifierError.self) { try read(String(repeating: "250-x\r\n", count: 5_000)) }
    }

    // MARK: Settings

    @Test func `a mail server's URL says host, port, privacy and password`() throws {
        let plain = try MailServer("smtp://mail.example.com")
        #expect(plain.host == "mail.example.com")
        #expect(plain.port == 587)
        #expect(plain.security == .required)
        #expect(plain.credentials == nil)
        let full = try MailServer("smtps://to%40csin:p%3Aa%25ss@[2001:db8::1]:4650/")
        #expect(full.host == "2001:db8::1")
        #expect(full.port == 4650)
        #expect(full.security == .immediate)
        #expect(full.credentials == MailServer.Credentials(user: "to@csin", password: "p:a%ss"))
        #expect(try MailServer("smtps://mail.example.com").port == 465)
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            #expect(try MailServer("smtp://\(here):25").security == .optional)
        }
        #expect(try MailServer("smtp://localhost?tls=required").security == .required)
        #expect(try MailServer("smtp://mail.example.com:25?tls=optional").security == .optional)
    }

    @Test(arguments: [
        "", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25", "smtp://u:secret@h/path",
        "smtp://u:secret@h#f", "smtp://u@h", "smtp://u:@h", "smtp://h:0", "smtp://h:70000", "smtp://u:secret@h?tls=no",
        "smtp://h?x=1", "smtps://h?tls=optional", "smtp://u:secret%00@h", "smtp://u:sec ret@h ost",
    ])
    func `what is no mail server's URL is refused without telling the password`(text: String) {
        let error = #expect(throws: MailServerError.self) { try MailServer(text) }
        #expect(error?.sentence.contains("secret") == false)
    }
}

extension MailMessage {
    static func sample(text: String = "t", address: String = "ann@example.test") throws -> MailMessage {
        MailMessage(
            notice: .sample(text: text, address: address),
            sender: try #require(MailSender("alarms@example.com")),
            recipient: try #require(MailAddress(address))
        )
    }
}

extension Notice {
    static func sample(text: String = "t", address: String = "ann@example.test") -> Notice {
        Notice(
            id: NoticeID(stored: "ntc_1"),
            personID: "usr_2",
            address: address,
            dealerID: DealerID(stored: "dlr_1"),
            siteID: SiteID(stored: "site_1"),
            kind: .armingFailed,
            subject: "Cannot arm",
            text: text,
            createdAt: Instant(secondsSinceEpoch: 1_779_790_894)
        )
    }
}
