import Foundation
import Testing
import TocsinCore

@testable import TocsinDelivery

@Suite("Mail messages") struct MailMessageTests {
    private static let names: Set = [
        "Date", "From", "To", "Message-ID", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    ]

    private func message(
        subject: String,
        text: String = "",
        from: String = "alarms@example.com"
    ) throws -> MailMessage {
        let notice = Notice(
            id: NoticeID(stored: "ntc_1"),
            personID: "usr_2",
            address: "ann@example.test",
            dealerID: DealerID(stored: "dlr_1"),
            siteID: SiteID(stored: "site_1"),
            kind: .armingFailed,
            subject: subject,
            text: text,
            createdAt: Instant(secondsSinceEpoch: 1_779_790_894)
        )
        return MailMessage(
            notice: notice,
            sender: try #require(MailSender(from)),
            recipient: try #require(MailAddress("ann@example.test"))
        )
    }

    /// Headers and body as a mail program reads them; written for these tests, from RFC 5322 and 2047.
    private func parsed(_ message: MailMessage) throws -> (headers: [String: String], text: String) {
        let text = try #require(String(bytes: message.bytes, encoding: .ascii), "there are bytes beyond ASCII")
        let halves = text.split(separator: "\r\n\r\n", maxSplits: 1)
        let unfolded = halves[0].replacingOccurrences(of: "\r\n ", with: " ")
        var headers: [String: String] = [:]
        for line in unfolded.components(separatedBy: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            #expect(headers.updateValue(String(parts[1].dropFirst()), forKey: String(parts[0])) == nil)
        }
        let body = halves.count > 1 ? halves[1].replacingOccurrences(of: "\r\n", with: "") : ""
        return (headers, String(decoding: try #require(Data(base64Encoded: body)), as: UTF8.self))
    }

    private func decoded(_ header: String) throws -> String {
        if !header.hasPrefix("=?") { return header }
        return try header.split(separator: " ")
            .map { word in
                #expect(word.utf8.count <= 75)
                let base64 = word.dropFirst("=?utf-8?B?".count).dropLast(2)
                let bytes = try #require(Data(base64Encoded: String(base64)))
                return try #require(String(bytes: bytes, encoding: .utf8))
            }
            .joined()
    }

    @Test func `a message says who, to whom, what and when`() throws {
        let (headers, text) = try parsed(
            message(subject: "Main Street 1: Cannot arm - Back Door is open", text: "Close it.\nOr bypass it.")
        )
        #expect(
            headers == [
                "Date": "Tue, 26 May 2026 10:21:34 +0000", "From": "Tocsin <alarms@example.com>",
                "To": "<ann@example.test>", "Message-ID": "<ntc_1.usr_2@example.com>",
                "Subject": "Main Street 1: Cannot arm - Back Door is open", "Auto-Submitted": "auto-generated",
                "MIME-Version": "1.0", "Content-Type": "text/plain; charset=utf-8",
                "Content-Transfer-Encoding": "base64",
            ]
        )
        #expect(text == "Close it.\r\nOr bypass it.")
    }

    private static let hostile = [
        "x\r\nBcc: eve@example.test", "x\nBcc: eve@example.test", "x\rBcc: eve@example.test",
        "x\u{85}Bcc: eve@example.test", "x\u{2028}Bcc: eve@example.test", "x\u{2029}\u{0B}\u{0C}Bcc: eve",
        "x\r\n\r\nbody", "\r\n.\r\nMAIL FROM:<eve@example.test>\r\n", "=?utf-8?B?DQpCY2M6IGV2ZQ==?=", "\0",
        "Tür – \"hinten\" 🚪", "\u{202E}exe.txt", "\u{301}", "",
        String(repeating: "a", count: 5_000), String(repeating: "🚪", count: 5_000), ".", "..\n.",
    ]

    @Test(arguments: hostile)
    func `no word of a subject, a text or a name becomes a header or a line`(words: String) throws {
        let message = try message(subject: words, text: words, from: "\(words) <alarms@example.com>")
        let (headers, text) = try parsed(message)
        #expect(Set(headers.keys) == Self.names)
        #expect(headers["To"] == "<ann@example.test>")
        let lines = String(decoding: message.bytes, as: UTF8.self).components(separatedBy: "\r\n")
        for line in lines {
            #expect(line.utf8.count <= 78 + 20)
            #expect(line.utf8.allSatisfy { (0x20...0x7E).contains($0) })
            #expect(!line.hasPrefix("."))
        }
        let subject = try decoded(try #require(headers["Subject"]))
        #expect(subject.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
        #expect(subject.unicodeScalars.count == min(words.unicodeScalars.count, MailMessage.subjectScalarsMax))
        #expect(!text.contains("\0"))
    }

    @Test func `letters of all scripts arrive as they were`() throws {
        let words = "Füße & Ζεύς – 防犯 🚪 \"hinten\""
        let (headers, text) = try parsed(message(subject: words, text: words, from: "Ångström <a@example.com>"))
        #expect(try decoded(try #require(headers["Subject"])) == words)
        #expect(text == words)
        let from = try #require(headers["From"])
        #expect(try decoded(String(from.split(separator: " ")[0])) == "Ångström")
        #expect(from.hasSuffix(" <a@example.com>"))
    }

    @Test(arguments: [
        (0, "Thu, 1 Jan 1970 00:00:00 +0000"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
        (1_790_000_000, "Mon, 21 Sep 2026 14:13:20 +0000"),
    ])
    func `the date is written as mail has it`(seconds: Int64, text: String) {
        #expect(MailMessage.date(Instant(secondsSinceEpoch: seconds)) == text)
    }

    @Test(arguments: [
        "ann@example.test", "ann.smith+tocsin@mail.example.test", "a@localhost", "o'neill@x-y.example", "1@2.3",
    ])
    func `an address that mail can be sent to is taken`(text: String) {
        #expect(MailAddress(text)?.text == text)
    }

    @Test(arguments: [
        "", "@", "ann", "ann@", "@example.test", "ann@@example.test", "a@b@c", "ann@example..test", "ann.@example.test",
        ".ann@example.test", "an..n@example.test", "ann@-example.test", "ann@example.test.", "ann smith@example.test",
        "ann@example.test\r\nDATA", "ann@example.test>", "<ann@example.test>", "ann@example.test> SIZE=1", "\"a b\"@c",
        "ann@exämple.test", "änn@example.test", "ann@[127.0.0.1]", "ann@example.test\0", "a,b@example.test",
        String(repeating: "a", count: 65) + "@example.test", "a@" + String(repeating: "b", count: 64),
        "a@" + String(repeating: "b.", count: 200) + "c",
    ])
    func `what could mean more than an address is refused`(text: String) {
        #expect(MailAddress(text) == nil)
    }

    @Test func `a sender may have a name`() {
        #expect(MailSender("alarms@example.com")?.name == "Tocsin")
        #expect(MailSender("Acme Security <alarms@example.com>")?.name == "Acme Security")
        #expect(MailSender("<alarms@example.com>")?.name == "Tocsin")
        #expect(MailSender("Acme <alarms>") == nil)
        #expect(MailSender("Acme alarms@example.com>") == nil)
    }
}
